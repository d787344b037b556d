# shellcheck shell=dash
# PHYs: sysfs shows their identifiers and no modalias. The kernel asks for drivers by mdio:BITS, an identifier's 32 bits
# from the highest on (include/linux/mod_devicetable.h, MDIO_ID_FMT).

# is_phy_id WORD: as the kernel prints them, 0x and at most eight digits; all bits alike mean that there is none.
is_phy_id() {
    case $1 in
        0x00000000 | 0xffffffff | 0x | 0x?????????*) return 1 ;;
        0x*) ;;
        *) return 1 ;;
    esac
    case ${1#0x} in
        *[!0-9a-f]*) return 1 ;;
    esac
}

# list_phys: the modaliases of all PHYs, one a line; those of clause 45 have an identifier for each of their parts.
list_phys() {
    local file number bit bits
    for file in /sys/bus/mdio_bus/devices/*/phy_id /sys/bus/mdio_bus/devices/*/c45_phy_ids/mmd*_device_id; do
        number=
        { IFS= read -r number < "$file"; } 2>/dev/null || continue
        is_phy_id "$number" || continue
        bits=
        bit=31
        while [ $bit -ge 0 ]; do
            bits=$bits$((number >> bit & 1))
            bit=$((bit - 1))
        done
        printf 'mdio:%s\n' "$bits"
    done
}

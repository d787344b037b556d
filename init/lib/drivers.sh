# shellcheck shell=dash
# Phase drivers: a module for each device that the image has one for. sysfs shows the devices' modaliases, modprobe finds
# the modules by the image's modules.alias. The image holds what its builder asked for: any device of its drivers counts.

tried_aliases=' '

# is_modalias WORD: one word of the kernel's making; anything else is none. A device tree's has "T(null)".
is_modalias() {
    case $1 in
        '' | -* | *[!a-zA-Z0-9:*,._+"()"-]*) return 1 ;;
    esac
}

# read_image_buses: sets image_buses to the buses that the image's modules name in their aliases, image_acpi to the ids of
# ACPI devices among them. Buses without a driver in the image need no look, and ACPI has too many devices to try them all.
# The image's builder has made a list of them; without it, they are looked for in all the aliases.
read_image_buses() {
    local word list="/lib/modules/$kernel_release/modules.buses"
    [ -z "$image_buses" ] || return 0
    image_buses=' '
    if [ ! -r "$list" ]; then
        list=/tmp/buses
        # shellcheck disable=SC2016  # awk's own
        awk '
            $1 != "alias" || $2 !~ /^[a-z][a-z-]*[*]?:/ { next }
            { bus = $2; sub(/[*]?:.*/, "", bus) }
            bus == "acpi" { sub(/^[^:]*:/, "", $2); sub(/:.*/, "", $2); bus = $2 ~ /^[0-9A-Za-z]+$/ ? "acpi=" $2 : "" }
            bus != "" && !seen[bus]++ { print bus }
        ' "/lib/modules/$kernel_release/modules.alias" > $list 2>/dev/null
    fi
    while IFS= read -r word; do
        case $word in
            acpi=*) image_acpi="$image_acpi ${word#acpi=}" ;;
            *) image_buses="$image_buses$word " ;;
        esac
    done < "$list"
}
image_buses=
image_acpi=

# list_aliases BUS PATTERN: adds to found_aliases what the devices of a bus show and PATTERN accepts, each once for ever.
list_aliases() {
    local device alias
    for device in /sys/bus/"$1"/devices/*; do
        alias=
        if [ "$1" = auxiliary ]; then
            # Devices that a driver makes for other drivers: DRIVER.NAME.NUMBER, without a file modalias.
            [ -e "$device" ] || break
            alias=${device##*/}
            alias=auxiliary:${alias%.*}
        else
            { IFS= read -r alias < "$device/modalias"; } 2>/dev/null || continue
        fi
        # shellcheck disable=SC2254  # the pattern is meant
        case $alias in
            $2) ;;
            *) continue ;;
        esac
        [ "$1" != acpi ] || is_wanted_acpi "$alias" || continue
        is_modalias "$alias" || continue
        case $tried_aliases in
            *" $alias "*) continue ;;
        esac
        tried_aliases="$tried_aliases$alias "
        found_aliases="$found_aliases $alias"
    done
}
found_aliases=

# is_wanted_acpi ALIAS: has it an id that a driver of the image is for? (Each device may have several.)
is_wanted_acpi() {
    local id
    for id in $image_acpi; do
        # shellcheck disable=SC2254  # the pattern is meant
        case $1 in
            acpi*:$id:*) return 0 ;;
        esac
    done
    return 1
}

# list_bus BUS PATTERN: the same, if the image has drivers for what PATTERN (BUS:*) begins with.
list_bus() {
    case $image_buses in
        *" ${2%%:*} "*) list_aliases "$1" "$2" ;;
    esac
}

# load_found: one modprobe for all of them.
load_found() {
    [ -n "$found_aliases" ] || return 0
    # shellcheck disable=SC2086  # a list of words
    modprobe -a -q $found_aliases 2>/dev/null
    found_aliases=
}

# load_bus_drivers: again and again callable; devices behind a bus that a driver just brought up are found the next time.
load_bus_drivers() {
    read_image_buses
    list_bus pci 'pci:*'
    # Among them Hyper-V's bus, virtio without PCI, and network devices of ARM servers.
    [ -z "$image_acpi" ] || list_aliases acpi 'acpi*:*'
    load_found
    list_bus virtio 'virtio:*'
    list_bus vmbus 'vmbus:*'
    list_bus xen 'xen:*'
    list_bus platform 'of:*'
    list_bus platform 'platform:*'
    list_bus spi 'of:*'
    list_bus spi 'spi:*'
    list_bus fsl-mc 'fsl-mc:*'
    list_bus auxiliary 'auxiliary:*'
    list_bus usb 'usb:*'
    load_found
}

# take_module_param WORD: MODULE.PARAMETER[=VALUE] of a command line, or modprobe.blacklist=A,B. busybox finds those of
# /proc/cmdline itself, but none in /etc/cmdline, none without a value, and none whose module is written with dashes.
take_module_param() {
    local module="${1%%.*}" rest="${1#*.}" name
    name=${rest%%=*}
    case $module in
        '' | -* | *[!a-zA-Z0-9_-]*) return 0 ;;
    esac
    case $name in
        '' | *[!a-zA-Z0-9_-]*) return 0 ;;
    esac
    case $rest in
        # What its file of settings cannot hold.
        *[!\ -~]* | *[\"#\\]*)
            drop_param "$module.$name" "${rest#*=}" 'a value for modprobe has no ", # or \, and is ASCII'
            return 0
            ;;
        *' '*) rest="$name=\"${rest#*=}\"" ;;
    esac
    case $1 in
        modprobe.blacklist=*) take_blacklist "${rest#*=}," ;;
        modprobe.*) ;;
        *) module_settings="${module_settings}options $module $rest$newline" ;;
    esac
}
module_settings=
newline='
'

# take_blacklist A,B,: modules that modprobe is not to load for a device.
take_blacklist() {
    local rest="$1" name
    while [ -n "$rest" ]; do
        name=${rest%%,*}
        rest=${rest#*,}
        case $name in
            '' | -* | *[!a-zA-Z0-9_-]*) ;;
            *) module_settings="${module_settings}blacklist $name$newline" ;;
        esac
    done
}

# write_module_settings: behind what the image's builder took from the tree's modprobe.d; the last one wins.
write_module_settings() {
    [ -n "$module_settings" ] || return 0
    [ -d /etc/modprobe.d ] || mkdir -p /etc/modprobe.d
    printf '%s' "$module_settings" >> /etc/modprobe.d/tree.conf || warn "parameters for modules are lost"
}

# load_named_modules: those that the image's builder named with --module.
load_named_modules() {
    local name names=
    [ -r /etc/pxeinit/modules ] || return 0
    while IFS= read -r name; do
        case $name in
            '' | -* | *[!a-zA-Z0-9_-]*) continue ;;
        esac
        names="$names $name"
    done < /etc/pxeinit/modules
    # shellcheck disable=SC2086  # a list of words
    [ -z "$names" ] || modprobe -a $names || warn "not every module of --module could be loaded:$names"
}

phase_drivers() {
    load_named_modules
    load_bus_drivers
    has_processors || start_root_modules
    return 0
}

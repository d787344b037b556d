# shellcheck shell=dash
# Phase drivers: a module for each device that can carry an Ethernet frame. sysfs shows the devices' modaliases, modprobe
# finds the modules by the image's modules.alias.

tried_aliases=' '

# is_modalias WORD: one word of the kernel's making; anything else is none. A device tree's has "T(null)".
is_modalias() {
    case $1 in
        '' | -* | *[!a-zA-Z0-9:*,._+"()"-]*) return 1 ;;
    esac
}

# list_aliases BUS PATTERN: adds to found_aliases what the devices of a bus show and PATTERN accepts, each once for ever.
list_aliases() {
    local device alias
    for device in /sys/bus/"$1"/devices/*; do
        alias=
        { IFS= read -r alias < "$device/modalias"; } 2>/dev/null || continue
        # shellcheck disable=SC2254  # the pattern is meant
        case $alias in
            $2) ;;
            *) continue ;;
        esac
        is_modalias "$alias" || continue
        case $tried_aliases in
            *" $alias "*) continue ;;
        esac
        tried_aliases="$tried_aliases$alias "
        found_aliases="$found_aliases $alias"
    done
}
found_aliases=

# load_found: one modprobe for all of them.
load_found() {
    [ -n "$found_aliases" ] || return 0
    # shellcheck disable=SC2086  # a list of words
    modprobe -a -q $found_aliases 2>/dev/null
    found_aliases=
}

# load_bus_drivers: again and again callable; devices behind a bus that a driver just brought up are found the next time.
load_bus_drivers() {
    list_aliases pci 'pci:*bc02sc*'
    # Hyper-V's bus and virtio without PCI are announced by ACPI.
    list_aliases acpi 'acpi:VMBUS*'
    list_aliases acpi 'acpi:LNRO0005*'
    # Network adapters on USB only matter if the image has a driver for one.
    if [ -d "/lib/modules/$kernel_release/kernel/drivers/net/usb" ]; then
        list_aliases pci 'pci:*bc0Csc03*'
    fi
    load_found
    list_aliases virtio 'virtio:d00000001v*'
    list_aliases vmbus 'vmbus:*'
    list_aliases platform 'of:*'
    if [ -d "/lib/modules/$kernel_release/kernel/drivers/net/usb" ]; then
        list_aliases usb 'usb:*'
    fi
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
    return 0
}

# shellcheck shell=dash
# pxeinit.report=udp://HOST:PORT: one JSON line for each phase and each failure, so that a server sees which client hangs
# where. As the message of a syslog datagram (RFC 3164), for that is what busybox can send; any syslog server takes it.
# And the whole log, for the real system's journal.

report_daemon=
report_ready=no

# take_report VALUE: of pxeinit.report=.
take_report() {
    local target="${1#udp://}"
    case $1 in
        udp://*:*) is_hostname "${target%:*}" && is_number "${target##*:}" && [ "${target##*:}" -le 65535 ] ;;
        *) false ;;
    esac && param_report=$target && return 0
    drop_param pxeinit.report "$1" "not udp://HOST:PORT"
}

# json_text VALUE: sets escaped to what may stand between the quotes of a JSON string.
json_text() {
    local rest="$1" part
    case $rest in
        # In the C locale; such a value should not come as far as here.
        *[!\ -~]*)
            quote_safely "$rest"
            rest=$quoted
            ;;
    esac
    escaped=
    while :; do
        part=${rest%%[\"\\]*}
        escaped=$escaped$part
        rest=${rest#"$part"}
        [ -n "$rest" ] || break
        escaped="$escaped\\${rest%"${rest#?}"}"
        rest=${rest#?}
    done
}

# send_report EVENT NAME [TEXT]: "phase" or "failure"; kept until there is an address to send it from.
send_report() {
    local line
    [ -n "$param_report" ] && [ -d "$run_dir" ] || return 0
    json_text "$2"
    line="\"uptime\":$uptime_now,\"event\":\"$1\",\"name\":\"$escaped\""
    if [ -n "${3-}" ]; then
        json_text "$3"
        line="$line,\"text\":\"$escaped\""
    fi
    printf '%s\n' "$line" >> "$run_dir/report"
    # From here on there is an address.
    [ "$1.$2" != phase.root ] || report_ready=yes
    [ $report_ready = yes ] || return 0
    start_report_daemon
    read_mac
    read_lease hostname
    while IFS= read -r line; do
        logger -t pxeinit -p daemon.info "{\"mac\":\"$lease_mac\",\"host\":\"$lease_value\",$line}" 2>/dev/null
    done < "$run_dir/report"
    rm -f "$run_dir/report"
}

# start_report_daemon: busybox syslogd, which sends what comes to /dev/log and keeps nothing.
start_report_daemon() {
    local tries=0
    [ -z "$report_daemon" ] || return 0
    syslogd -n -R "$param_report" -O /dev/null > /dev/null 2>&1 &
    report_daemon=$!
    while [ ! -e /dev/log ] && [ $tries -lt 20 ]; do
        usleep 20000
        tries=$((tries + 1))
    done
}

# end_report: the real system has a /dev/log of its own.
end_report() {
    [ -n "$report_daemon" ] || return 0
    # What it has read is sent.
    usleep 100000
    kill "$report_daemon" 2>/dev/null
    wait "$report_daemon" 2>/dev/null
    rm -f /dev/log
    report_daemon=
}

# hand_log: all that was said, to the kernel's log at the level of debug messages: `journalctl -t pxeinit` shows it.
hand_log() {
    local line limit=
    { IFS= read -r limit < /proc/sys/kernel/printk_devkmsg; } 2>/dev/null || :
    # Else the kernel takes ten lines in five seconds.
    { printf 'on\n' > /proc/sys/kernel/printk_devkmsg; } 2>/dev/null
    while IFS= read -r line; do
        printf '<15>pxeinit: %s\n' "${line#pxeinit: }" > /dev/kmsg
    done < "$run_dir/log"
    case $limit in
        ratelimit | off) { printf '%s\n' "$limit" > /proc/sys/kernel/printk_devkmsg; } ;;
    esac
} 2>/dev/null

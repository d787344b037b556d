# shellcheck shell=dash
# What the client says, and what it does when it cannot go on.
#
# Every line goes to the console (the standard output that the kernel gave to PID 1) and to $run_dir/log. With "quiet"
# only warnings and failures reach the console.

run_dir=/run/pxeinit
uptime_now=0.00

# read_uptime: sets uptime_now, in seconds since the kernel started, without a process of its own.
read_uptime() {
    read -r uptime_now _ 2>/dev/null < /proc/uptime || uptime_now=0.00
}

# log_line TEXT: the log alone.
log_line() {
    # Before the run folder exists, there is only the console.
    if [ -d "$run_dir" ]; then
        printf '%s\n' "$1" 2>/dev/null >> "$run_dir/log"
    fi
    return 0
}

# say_always TEXT: one line on the console and in the log, also with "quiet".
say_always() {
    read_uptime
    log_line "pxeinit: [$uptime_now] $1"
    printf 'pxeinit: [%s] %s\n' "$uptime_now" "$1"
}

# say TEXT: information; silent on the console with "quiet".
say() {
    if [ "$param_quiet" = yes ]; then
        read_uptime
        log_line "pxeinit: [$uptime_now] $1"
    else
        say_always "$1"
    fi
}

# warn TEXT: something that its reader should know; the boot goes on.
warn() {
    say_always "warning: $1"
}

# report CODE WHAT WHY TRY: a failure with its code; what happens next is the caller's business.
report() {
    local text
    read_uptime
    add_state code "$1"
    text="pxeinit: [$uptime_now] $1: $2
pxeinit:   why: $3
pxeinit:   try: $4"
    log_line "$text"
    printf '%s\n' "$text"
    send_report failure "$1" "$2: $3"
}

# quote_safely VALUE: sets quoted to VALUE in quotes, at most 60 characters, everything unprintable as "?". For values
# that came over the network and are only shown.
quote_safely() {
    local rest char count=0
    quoted=
    # What follows costs the square of the length.
    rest=$(printf '%.61s.' "$1")
    rest=${rest%.}
    while [ -n "$rest" ]; do
        if [ "$count" -ge 60 ]; then
            quoted="$quoted..."
            break
        fi
        char=${rest%"${rest#?}"}
        rest=${rest#?}
        # From the blank to the tilde, in the C locale.
        case $char in
            \') quoted="$quoted?" ;;
            [\ -~]) quoted="$quoted$char" ;;
            *) quoted="$quoted?" ;;
        esac
        count=$((count + 1))
    done
    quoted="'$quoted'"
}

# give_shell: an interactive shell on the console.
give_shell() {
    printf 'pxeinit: a shell for you; exit it to go on\n'
    setsid cttyhack sh
}

# must_give_up: does panic= ask for an end of waiting?
must_give_up() {
    [ -n "$param_panic" ] && [ "$param_panic" != 0 ]
}

# after_failure: what "panic=" says. Returns when the phase shall be tried again.
# panic=N reboots after N seconds (at once if negative); without it, or with 0, somebody at the console gets a shell, and
# a machine with nobody at it tries again by itself.
after_failure() {
    local failed_at
    case $param_panic in
        '' | 0) ;;
        -*)
            say_always "rebooting, as panic=$param_panic says"
            reboot -f
            ;;
        *)
            say_always "rebooting in $param_panic s, as panic=$param_panic says"
            sleep "$param_panic"
            reboot -f
            ;;
    esac
    next_delay
    say_always "press Enter for a shell; trying again in $backoff_delay s"
    # Only a line is an answer: a console that is closed ends at once, and must not make this a busy loop.
    failed_at=$uptime_now
    # (The shell would say "Terminated" at each one that is late.)
    if [ "$({ timeout "$backoff_delay" head -n 1 | wc -c; } 2>/dev/null)" -gt 0 ]; then
        give_shell
        return 0
    fi
    seconds_since "$failed_at"
    [ "$elapsed" -ge "$backoff_delay" ] || sleep "$backoff_delay"
}

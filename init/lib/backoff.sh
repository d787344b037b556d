# shellcheck shell=dash
# Delays between attempts: a few quick rounds, then doubling with jitter up to a ceiling, without end.
#
# A thousand clients start in the same second after a power cut. A fixed delay would keep them in step for ever, so each
# delay is drawn from [d/2, d].

backoff_quick_rounds=3 # attempts before the first delay
backoff_first=2        # seconds
backoff_ceiling=20     # seconds
backoff_limit=$backoff_first
backoff_delay=0

# reset_backoff: for a new thing that is waited for.
reset_backoff() {
    backoff_limit=$backoff_first
    backoff_delay=0
}

# random_below N: sets random_number to 0..N-1 (N up to 65536).
random_below() {
    random_number=$(od -An -N2 -tu2 /dev/urandom 2>/dev/null)
    # od pads with blanks.
    random_number=${random_number##* }
    is_number "$random_number" || random_number=0
    random_number=$((random_number % $1))
}

# next_delay: sets backoff_delay, in seconds, and doubles the limit for the next one.
next_delay() {
    local half=$((backoff_limit / 2))
    random_below $((backoff_limit - half + 1))
    backoff_delay=$((half + random_number))
    backoff_limit=$((backoff_limit * 2))
    [ $backoff_limit -le $backoff_ceiling ] || backoff_limit=$backoff_ceiling
}

# seconds_since UPTIME: sets elapsed, in whole seconds.
seconds_since() {
    read_uptime
    elapsed=$((${uptime_now%.*} - ${1%.*}))
}
elapsed=0

# begin_wait: for what follows. tell_wait WHAT: says so, also with "quiet", when it has taken 3 s, and every 30 s. Nobody
# shall look at a dark screen for longer.
begin_wait() {
    read_uptime
    wait_since=$uptime_now
    wait_next=$wait_silent
}
tell_wait() {
    seconds_since "$wait_since"
    [ $elapsed -ge $wait_next ] || return 0
    say_always "still waiting for $1 ($elapsed s)"
    wait_next=$((elapsed + 30))
}
wait_silent=3 # seconds
wait_since=0
wait_next=$wait_silent

# nap MICROSECONDS: less than a second, without a process: waits for a line in a FIFO that nobody writes. By usleep where the
# shell cannot do that.
nap() {
    local fraction
    if [ -z "$nap_own" ]; then
        nap_own=no
        [ -e $nap_fifo ] || mknod -m 600 $nap_fifo p 2>/dev/null
        if [ -p $nap_fifo ]; then
            # A shell that does not know -t, or no fractions, says so and fails with 2.
            # shellcheck disable=SC3045  # tried, in a shell of its own
            (read -r -t 0.001 _ <> $nap_fifo) 2>/dev/null
            [ $? -eq 2 ] || nap_own=yes
        fi
    fi
    if [ $nap_own = no ]; then
        usleep "$1"
        return 0
    fi
    fraction=$((1000000 + $1))
    # shellcheck disable=SC3045  # tried above
    read -r -t "0.${fraction#1}" _ <> $nap_fifo
    return 0
}
nap_own=
nap_fifo=/tmp/nap

# back_off WHAT: waits for the next delay, the console saying for what.
back_off() {
    next_delay
    say_always "waiting $backoff_delay s, then trying again: $1"
    sleep "$backoff_delay"
}

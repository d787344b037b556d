# shellcheck shell=dash
# Running a phase: its name and time on the console, a break before it if asked, its hooks before and after it, and
# another try after a failure.

# run_hooks FOLDER PHASE: executes lib/pxeinit/hooks/FOLDER/* of the image with the arguments PHASE NEWROOT.
run_hooks() {
    local hook
    for hook in /lib/pxeinit/hooks/"$1"/*; do
        [ -x "$hook" ] || continue
        "$hook" "$2" "$new_root" || warn "the hook $hook failed with status $?"
    done
}

# run_phase NAME [ARGUMENT...]: until it succeeds. The functions are ours: no name comes from outside.
run_phase() {
    local name="$1"
    shift
    if [ "$param_break" = "$name" ]; then
        say_always "stopped before phase $name, as pxeinit.break says"
        give_shell
    fi
    begin_phase "$name"
    run_hooks "$name.before" "$name"
    # Nothing comes after it.
    [ "$name" != switch ] || run_hooks switch switch
    reset_backoff
    until "phase_$name" "$@"; do
        after_failure
    done
    run_hooks "$name" "$name"
}

# begin_phase NAME: one line on the console, one in the state file.
begin_phase() {
    say "phase $1"
    add_state "phase.$1" "$uptime_now"
    send_report phase "$1"
}

# add_state KEY VALUE: appends to the state file, which the booted system can read.
add_state() {
    if [ -d "$run_dir" ]; then
        printf '%s=%s\n' "$1" "$2" >> "$run_dir/state"
    fi
    return 0
}

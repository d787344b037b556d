# shellcheck shell=dash
# Can the kernel start the tree's init? After the switch it is too late to ask: an exec that fails there ends PID 1, and the
# machine in a panic. So what the kernel will look at is looked at before (elf(5), execve(2)): the machine of an ELF file, its
# interpreter, that of a script, each found in the tree. What cannot be made out is left to the kernel.

program_deep=5 # interpreters of interpreters, as many as the kernel follows (fs/exec.c)

# read_bytes FILE OFFSET COUNT: sets bytes to them as decimal numbers; to nothing where this busybox' od cannot.
read_bytes() {
    bytes=$(od -An -v -tu1 -j "$2" -N "$3" "$1" 2>/dev/null)
    case $bytes in
        *[!0-9\ '
']*) bytes= ;;
    esac
}
bytes=

# to_number BYTE...: sets number, in the byte order of the program that is looked at.
to_number() {
    local byte scale=1
    number=0
    for byte; do
        if [ "$program_order" = 1 ]; then
            number=$((number + byte * scale))
            scale=$((scale * 256))
        else
            number=$((number * 256 + byte))
        fi
    done
}
number=0 program_order=1

# read_machine BYTE...: of a program's beginning; sets program_machine, empty if it is no ELF file.
read_machine() {
    program_machine=
    [ $# -ge 20 ] && [ "$1.$2.$3.$4" = 127.69.76.70 ] || return 0
    program_order=$6
    shift 18
    to_number "$1" "$2"
    program_machine=$number.$program_order
}
program_machine=

# runs_here MACHINE: does a kernel that runs this shell run that, too? (Those for 64 bits run their older brothers: i386 and
# x86-64, arm and aarch64, ppc and ppc64.)
runs_here() {
    local wanted="$program_machine"
    if [ -z "$program_own" ]; then
        read_bytes /proc/self/exe 0 20
        # shellcheck disable=SC2086  # numbers
        read_machine $bytes
        program_own=$program_machine
        program_machine=$wanted
    fi
    case $program_own:$wanted in
        : | :* | "$wanted:$wanted") ;;
        3.1:62.1 | 62.1:3.1 | 40.1:183.1 | 183.1:40.1 | 20.2:21.2 | 21.2:20.2) ;;
        *) return 1 ;;
    esac
}
program_own= # of the busybox that runs this

# take_bytes FILE OFFSET COUNT: as read_bytes, from what has been read of the beginning if that has it.
take_bytes() {
    local file="$1" offset="$2" left="$3" taken=
    # shellcheck disable=SC2086  # numbers
    set -- $program_head
    if [ $((offset + left)) -gt $# ]; then
        read_bytes "$file" "$offset" "$left"
        return 0
    fi
    shift "$offset"
    while [ "$left" -gt 0 ]; do
        taken="$taken $1"
        left=$((left - 1))
        shift
    done
    bytes=$taken
}
program_head=

# find_segments BYTE...: of an ELF file's header: sets segments (their offset), segment_size and segment_count.
find_segments() {
    local wide="$5"
    segment_count=0
    [ $# -ge 64 ] || return 0
    shift 28
    if [ "$wide" = 2 ]; then
        to_number "$5" "$6" "$7" "$8" "$9" "${10}" "${11}" "${12}"
        segment_size=56
        shift 28
    else
        to_number "$1" "$2" "$3" "$4"
        segment_size=32
        shift 16
    fi
    segments=$number
    to_number "$1" "$2"
    if [ "$segments" -gt 0 ] && [ "$segments" -le 1073741824 ] && [ $number -le 128 ]; then
        segment_count=$number
    fi
}
segments=0 segment_size=0 segment_count=0

# find_interpreter FILE: of an ELF file; sets program_needs to the path that the program names (PT_INTERP), empty if there is none.
find_interpreter() {
    local file="$1" count
    # shellcheck disable=SC2086  # numbers
    find_segments $program_head
    count=$segment_count
    [ "$count" -gt 0 ] || return 0
    take_bytes "$file" "$segments" $((segment_size * count))
    # shellcheck disable=SC2086  # numbers
    set -- $bytes
    while [ "$count" -gt 0 ] && [ $# -ge $segment_size ]; do
        to_number "$1" "$2" "$3" "$4"
        if [ $number -eq 3 ]; then
            read_segment "$file" "$@"
            return 0
        fi
        shift $segment_size
        count=$((count - 1))
    done
}

# read_segment FILE BYTE...: of the segment's header; its text up to the first NUL becomes program_needs.
read_segment() {
    local file="$1" offset size byte
    shift
    if [ $segment_size = 56 ]; then
        to_number "$9" "${10}" "${11}" "${12}" "${13}" "${14}" "${15}" "${16}"
        offset=$number
        to_number "${33}" "${34}" "${35}" "${36}" "${37}" "${38}" "${39}" "${40}"
    else
        to_number "$5" "$6" "$7" "$8"
        offset=$number
        to_number "${17}" "${18}" "${19}" "${20}"
    fi
    size=$number
    [ "$offset" -ge 0 ] && [ "$offset" -le 1073741824 ] && [ "$size" -ge 2 ] && [ "$size" -le 4096 ] || return 0
    take_bytes "$file" "$offset" "$size"
    set --
    for byte in $bytes; do
        [ "$byte" -ne 0 ] || break
        set -- "$@" "$byte"
    done
    [ $# -gt 0 ] || return 0
    # The numbers as octal escapes, then these as what they mean: nothing else can stand in this format.
    byte=$(printf '\\%03o' "$@")
    # shellcheck disable=SC2059
    program_needs=$(printf "$byte")
}

# read_script FILE: sets program_needs to what stands behind "#!".
read_script() {
    local line=
    head -c 256 "$1" > /tmp/script
    IFS= read -r line < /tmp/script || :
    line=${line#??}
    line=${line#"${line%%[! 	]*}"}
    program_needs=${line%%[ 	]*}
}

# read_program FILE NAME: sets program_kind to elf, script or unknown, and program_needs. Fails for what no kernel here runs.
read_program() {
    program_needs= program_kind=unknown
    # An ELF header, its segments' and in most files the name of its interpreter are in so many bytes.
    read_bytes "$1" 0 1024
    program_head=$bytes
    # shellcheck disable=SC2086  # numbers
    set -- "$1" "$2" $program_head
    # shellcheck disable=SC2086  # numbers
    read_machine $program_head
    case ${3-}.${4-} in
        127.69) [ -z "$program_machine" ] || program_kind=elf ;;
        35.33)
            program_kind=script
            read_script "$1"
            return 0
            ;;
        # This od cannot do it.
        .) return 0 ;;
    esac
    if [ $program_kind = unknown ]; then
        tree_fault=init-format
        tree_message="$2 is neither a program (ELF) nor a script"
        return 1
    fi
    if ! runs_here; then
        tree_fault=init-machine
        tree_message="$2 is for another machine (ELF machine ${program_machine%.*}, this one is ${program_own%.*})"
        return 1
    fi
    find_interpreter "$1"
}
program_needs= program_kind=

# check_libraries PROGRAM LOADER: are all there, and whole, as far as the tree's own loader says? (ld.so(8) --list, which musl's
# has, too; it starts nothing.) A library that is missing after half an upgrade would be a panic later.
check_libraries() {
    local line
    case ${2##*/} in
        ld-linux* | ld-musl* | ld64.so* | ld.so*) ;;
        *) return 0 ;;
    esac
    timeout -s KILL $library_seconds env -i LC_ALL=C chroot $nfs_root "$2" --list "$1" > /tmp/libraries 2>&1
    while IFS= read -r line; do
        case $line in
            *'weak version'*) ;;
            *'not found'* | *'rror while loading'* | *'rror loading'*)
                quote_safely "${line#	}"
                tree_fault=init-libraries
                # Another version of NFS may read what this one cannot.
                case $line in *'nput/output error'*) tree_fault=unreadable ;; esac
                tree_message="$1: $quoted"
                return 1
                ;;
        esac
    done < /tmp/libraries
}
library_seconds=20

# loads_quickly: does the tree's own loader, where it is the usual one of this machine, find all that the init needs, and name
# itself as its interpreter? (It shows that by the path in the init; another name for it would stand before "=>".) What else it
# says is for those to judge who look at the file itself.
loads_quickly() {
    local loader line named=no
    for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 ''; do
        # An absolute link leads out of the tree, seen from here.
        if [ -e "$nfs_root$loader" ] || [ -L "$nfs_root$loader" ]; then
            break
        fi
    done
    [ -n "$loader" ] || return 1
    timeout -s KILL $library_seconds chroot $nfs_root "$loader" --list "$tree_init" > /tmp/libraries 2>&1 || return 1
    while IFS= read -r line; do
        case $line in
            "	$loader (0x"*) named=yes ;;
            *'not found'* | *'rror '*) return 1 ;;
        esac
    done < /tmp/libraries
    [ $named = yes ]
}

# check_program: of tree_init, which is init_file; sets tree_fault and tree_message where it fails. The interpreters are
# read, too: they are then in the cache, and an error of the server's disk comes while it can still be told.
check_program() {
    local file="$init_file" name="$tree_init" path="$tree_init" deep=0 loaded=
    [ $known = no ] && ! loads_quickly || return 0
    set --
    while read_program "$file" "$name" || return 1; do
        [ -n "$program_needs" ] || break
        quote_safely "$program_needs"
        if ! resolve_in_tree $nfs_root "$program_needs" || [ ! -f "$resolved" ] || [ ! -x "$resolved" ]; then
            tree_fault=init-interpreter
            tree_message="$name needs $quoted, which is not in the tree or not executable"
            return 1
        fi
        name=$quoted file=$resolved
        set -- "$@" "$file"
        if [ $program_kind = elf ]; then
            loaded=$path
            break
        fi
        path=$program_needs
        deep=$((deep + 1))
        [ $deep -lt $program_deep ] || break
    done
    [ $# -gt 0 ] || return 0
    read_files "$@" || return 1
    [ -z "$loaded" ] || check_libraries "$loaded" "$program_needs"
}

# shellcheck shell=dash
# Phase root: where the tree is, and a mount of it that has proved itself (trust.sh).

root_servers= root_server= root_path= root_options= root_versions= root_address= root_port=
root_shown= # with the name of a squashfs
nfs_root=/nfsroot
nfs_point=$nfs_root # where the export is mounted: elsewhere if the tree is a file on it
nfs_versions="4.2 4.1 4.0 3"
mount_timeout=10 # seconds
root_again=no    # has this phase failed before?

# find_root_spec: sets root_spec to [SERVER:]/PATH[,OPTIONS] and root_source to where it comes from.
find_root_spec() {
    root_spec= root_source=
    root_versions=$nfs_versions
    case $param_root in
        nfs4:*) root_versions="4.2 4.1 4.0" ;;
    esac
    case $param_root in
        nfs:?* | nfs4:?*)
            root_spec=${param_root#*:}
            root_source='root='
            ;;
        '' | /dev/nfs | nfs | nfs4 | nfs: | nfs4:)
            if [ -n "$param_nfsroot" ]; then
                root_spec=$param_nfsroot
                root_source='nfsroot='
            else
                read_lease root-path
                root_spec=${lease_value#nfs:}
                root_source='DHCP option 17 (root-path)'
            fi
            ;;
        *)
            quote_safely "$param_root"
            report PXE-INIT-root-not-nfs "root=$quoted is not a network root" \
                "this initrd boots from NFS" "use root=/dev/nfs nfsroot=[SERVER:]/PATH[,OPTIONS], or no root= and DHCP option 17"
            return 1
            ;;
    esac
    [ -n "$root_spec" ] && return 0
    report PXE-INIT-root-no-path "nobody says where the root is" \
        "neither root= nor nfsroot= is given, and the DHCP answer has no option 17 (root-path)" \
        "set option root-path \"[SERVER:]/PATH\" on the DHCP server, or nfsroot= on the kernel command line"
    return 1
}

# split_root_spec: root_spec into root_servers, root_path and root_options, each checked.
split_root_spec() {
    local rest="$root_spec" servers='' server
    root_servers= root_path= root_options=
    case $rest in
        /*) ;;
        *:/*)
            # A:/P, [A]:/P or A,B,[C]:/P: no server has ":/" in it.
            servers=${rest%%:/*},
            rest=/${rest#*:/}
            ;;
        *) return 1 ;;
    esac
    while [ -n "$servers" ]; do
        server=${servers%%,*}
        servers=${servers#*,}
        case $server in
            \[*\])
                server=${server#\[}
                server=${server%\]}
                is_ipv6 "$server" || return 1
                ;;
            *) is_hostname "$server" || return 1 ;;
        esac
        root_servers="$root_servers${root_servers:+ }$server"
    done
    case $rest in
        *,*)
            root_path=${rest%%,*}
            root_options=${rest#*,}
            ;;
        *) root_path=$rest ;;
    esac
    case $root_path in
        *:*)
            # dracut's third form, nfs:SERVER:/PATH:OPTION,OPTION...
            root_options=${root_path##*:},$root_options
            root_path=${root_path%:*}
            ;;
    esac
    fill_client_address
    # "ftp://HOST/PATH" and its like: a URL is not a root-path.
    case $root_path in
        //*) return 1 ;;
    esac
    is_path "$root_path" || return 1
    is_mount_options "$root_options"
}

# fill_client_address: the kernel's nfsroot= lets "%s" stand for the client's address.
fill_client_address() {
    case $root_path in
        *%s*)
            read_lease address
            root_path=${root_path%%"%s"*}$lease_value${root_path#*"%s"}
            ;;
    esac
}

# default_server: next-server, then the DHCP server.
default_server() {
    [ -z "$root_servers" ] || return 0
    read_lease next-server
    root_servers=$lease_value
    if [ -z "$root_servers" ]; then
        read_lease server
        root_servers=$lease_value
    fi
    [ -n "$root_servers" ]
}

# sort_options: versions out of root_options into root_versions, ro and rw away (the mode decides), the rest kept; the port
# is in root_port, too.
sort_options() {
    local option kept=
    root_port=2049
    local rest="$root_options,"
    while [ -n "$rest" ]; do
        option=${rest%%,*}
        rest=${rest#*,}
        case $option in
            '' | ro | rw) ;;
            vers=* | nfsvers=*) choose_versions "${option#*=}" ;;
            v[34] | v4.[012]) choose_versions "${option#v}" ;;
            minorversion=[012]) choose_versions "4.${option#*=}" ;;
            port=*)
                root_port=${option#port=}
                kept="$kept,$option"
                ;;
            # These would make another mount than the one that was asked for.
            addr=* | mountaddr=* | clientaddr=*) warn "the mount option $option is ignored" ;;
            *) kept="$kept,$option" ;;
        esac
    done
    root_options=$kept
}

# choose_versions VALUE: of vers=.
choose_versions() {
    case $1 in
        4) root_versions="4.2 4.1 4.0" ;;
        3 | 4.0 | 4.1 | 4.2) root_versions=$1 ;;
        *)
            quote_safely "$1"
            warn "vers=$quoted is not an NFS version of ours (3, 4, 4.0, 4.1, 4.2): negotiated instead"
            ;;
    esac
}

# mount_nfs VERSION: one attempt. Sets mount_result to ok, version, refused, missing, unreachable or failed, and
# mount_message to what mount said.
mount_nfs() {
    local options type=nfs4 device="$root_address" status
    options=$root_access,vers=$1$root_options
    if [ "$1" = 3 ]; then
        type=nfs
        # There is no lock daemon in an initrd.
        options=$root_access,nolock,vers=3$root_options
    fi
    case $device in
        *:*) device="[$device]" ;;
    esac
    hush_kernel "$1"
    timeout -s KILL $mount_timeout mount -i -t $type -o "$options" "$device:$root_path" "$nfs_point" 2> /tmp/mount
    status=$?
    [ -z "$kernel_loader" ] || printf '%s\n' "$kernel_loader" > $loader_file
    mount_message=
    IFS= read -r mount_message < /tmp/mount || :
    # busybox: "mount: mounting A on B failed: REASON"
    mount_message=${mount_message##*failed: }
    case $status:$mount_message in
        0:*) mount_result=ok ;;
        137:* | 143:*)
            mount_result=unreachable
            mount_message="no answer within $mount_timeout s"
            ;;
        *:*'rotocol not supported'* | *:*'rogram not registered'*) mount_result=version ;;
        *:*'onnection refused'* | *:*'imed out'* | *:*'o route'* | *:*nreachable* \
            | *:*'I/O error'* | *:*'nput/output error'* | *:*'ost is down'*)
            mount_result=unreachable
            ;;
        *:*'ermission denied'* | *:*'not permitted'*) mount_result=refused ;;
        *:*'o such file'*) mount_result=missing ;;
        *) mount_result=failed ;;
    esac
    log_line "mount -t $type -o $options $device:$root_path: $mount_result ${mount_message}"
}

# hush_kernel VERSION: for the time of the mount the kernel asks for no modules, kernel_loader being how it did. With NFS 4 it
# asks four times for Kerberos, which no image has unless somebody put it there.
hush_kernel() {
    kernel_loader=
    case $1 in
        4*) [ -d /sys/module/nfsv4 ] || return 0 ;;
        *) return 0 ;;
    esac
    [ ! -e "/lib/modules/$kernel_release/kernel/net/sunrpc/auth_gss" ] || return 0
    { IFS= read -r kernel_loader < $loader_file; } 2>/dev/null || return 0
    # (It may not be writable.)
    { echo > $loader_file; } 2>/dev/null || kernel_loader=
}
loader_file=/proc/sys/kernel/modprobe
kernel_loader=

# try_versions: sets root_version and succeeds with a trusted mount; else attempt_result and attempt_message tell the most
# telling failure, and where this names a version, which.
try_versions() {
    local version skip_v4=no
    attempt_result=version
    attempt_message="the server offers none of NFS $root_versions"
    for version in $root_versions; do
        if [ $skip_v4 = yes ] && [ "$version" != 3 ]; then
            continue
        fi
        mount_nfs "$version"
        case $mount_result in
            ok) ;;
            version) continue ;;
            unreachable)
                # After another version was answered, silence belongs to this version alone (v3 without a portmapper).
                if [ "$attempt_result" = version ]; then
                    attempt_result=unreachable
                    attempt_message=$mount_message
                fi
                [ "$version" = 3 ] || return 1
                continue
                ;;
            *)
                attempt_result=$mount_result
                attempt_message="NFS $version: $mount_message"
                continue
                ;;
        esac
        # Another tree than before, or one that was mended.
        links_known=$newline
        if open_squashfs && check_tree; then
            root_version=$version
            return 0
        fi
        close_root
        attempt_result=$tree_fault
        attempt_message="NFS $version: $tree_message"
        # No version mends a tree without an init, or who may enter it; numeric owners come with version 3 at the earliest.
        case $tree_fault in
            no-init | init-* | denied | squashfs-missing | squashfs-format) return 1 ;;
            owner) skip_v4=yes ;;
        esac
        warn "the tree over NFS $version is useless: $tree_message"
    done
    return 1
}

# report_attempt: the code and the way out for attempt_result.
report_attempt() {
    local where="$root_server:$root_shown"
    case $attempt_result in
        unknown)
            report PXE-INIT-root-dns "no address for the NFS server $root_server" "$attempt_message" \
                "give the server by its address, or mend DNS"
            ;;
        unreachable)
            report PXE-INIT-root-unreachable "the NFS server $root_server ($root_address) does not answer" \
                "$attempt_message" "is the server up, and port 2049 open to this client?"
            ;;
        refused)
            report PXE-INIT-root-refused "$where: the server refuses the mount" "$attempt_message" \
                "look at the export's list of clients, and at options like sec= and secure"
            ;;
        missing)
            read_lease address
            report PXE-INIT-root-no-export "$where: the server has no such export" "$attempt_message" \
                "compare the path with the server's exports (under NFSv4 it is the pseudo path); they hide what is not for ${lease_value:-this client}"
            ;;
        version)
            report PXE-INIT-root-no-version "$where: no common NFS version" "$attempt_message" \
                "enable one of them on the server, or correct vers="
            ;;
        owner)
            report PXE-INIT-root-owner "$where: / belongs to somebody else" "$attempt_message" \
                "NFSv4 with names and no idmapd: set Only_Numeric_Owners (Ganesha) or offer version 3; else unpack the tree as root"
            ;;
        unreadable)
            report PXE-INIT-root-unreadable "$where: its init cannot be read" "$attempt_message" \
                "try another version by the mount option vers=; look at the server's log and its disk"
            ;;
        listing)
            report PXE-INIT-root-listing "$where: its folders cannot be listed" "$attempt_message" \
                "try another version by the mount option vers=; look at the server's log and its disk"
            ;;
        no-init)
            report PXE-INIT-root-no-init "$where: no init in the tree" "$attempt_message" \
                "install one (systemd-sysv, sysvinit-core, busybox), or name it with init="
            ;;
        denied)
            report PXE-INIT-root-denied "$where: this client may not enter it" "$attempt_message" \
                "give the folder on the server mode 0755, or export it with no_root_squash"
            ;;
        init-machine)
            report PXE-INIT-root-init-machine "$where: its init is not for this machine" "$attempt_message" \
                "export the tree of this client's architecture, or give it that tree's kernel and image"
            ;;
        init-interpreter)
            report PXE-INIT-root-init-interpreter "$where: its init cannot be started" "$attempt_message" \
                "install it in the tree (an ELF file's is the C library's), or name another init with init="
            ;;
        init-libraries)
            report PXE-INIT-root-init-libraries "$where: libraries of its init are missing" "$attempt_message" \
                "finish what was being installed in the tree (chroot TREE apt-get -f install, say), or name another init with init="
            ;;
        init-format)
            report PXE-INIT-root-init-format "$where: its init is no program" "$attempt_message" \
                "is it whole? a script begins with #!; install it again, or name another with init="
            ;;
        squashfs-*) report_squashfs "$where" ;;
        *)
            report PXE-INIT-root-mount "$where: the mount failed" "$attempt_message" \
                "look at the options ($root_options) and at the kernel's own words: dmesg"
            ;;
    esac
}

# dns_servers_known: for the message.
dns_servers_known() {
    read_lease dns
    if [ -n "$param_nameserver$lease_value" ]; then
        printf 'the name servers %s' "$param_nameserver $lease_value"
    else
        printf 'nobody: the lease names no DNS server, and the command line no nameserver=; it'
    fi
}

# try_server: one attempt at $root_server.
try_server() {
    if ! resolve_host "$root_server"; then
        attempt_result=unknown
        attempt_message="$(dns_servers_known) did not say one"
        return 1
    fi
    root_address=$resolved
    say "root: mounting $root_server:$root_shown"
    wait_root_modules
    try_versions
}

# try_servers: in their order. Where none can be used, root_server, attempt_result and attempt_message tell of one that
# may still come, if there is such a one, else of the first.
try_servers() {
    local server='' address='' result='' message='' waits=no may_come
    for root_server in $root_servers; do
        try_server && return 0
        if [ "$root_server" != "$root_servers" ]; then
            warn "the NFS server $root_server cannot be used: $attempt_message"
        fi
        may_come=no
        case $attempt_result in
            unknown | unreachable) may_come=yes ;;
        esac
        if [ -z "$server" ] || [ $waits.$may_come = no.yes ]; then
            server=$root_server address=$root_address waits=$may_come
            result=$attempt_result message=$attempt_message
        fi
    done
    root_server=$server root_address=$address attempt_result=$result attempt_message=$message
    return 1
}

# wait_root: until a server can be used. What all servers refuse is a failure at once; a silent one is waited for.
wait_root() {
    local round=0
    while ! try_servers; do
        round=$((round + 1))
        case $attempt_result in
            unreachable | unknown) ;;
            *)
                report_attempt
                return 1
                ;;
        esac
        if [ $round -eq $backoff_quick_rounds ]; then
            report_attempt
            if must_give_up; then
                return 1
            fi
        fi
        if [ "$attempt_result" = unknown ]; then
            back_off "the address of $root_server"
        else
            back_off "the NFS server $root_server ($attempt_message)"
        fi
    done
}

phase_root() {
    # Somebody may have mended the DHCP server meanwhile. (Its answer does not shorten the delays of this phase.)
    local limit="$backoff_limit"
    if [ $root_again = yes ] && [ "$ip_mode" = dhcp ]; then
        phase_lease || return 1
        backoff_limit=$limit
    fi
    root_again=yes
    find_root_spec || return 1
    if ! split_root_spec; then
        quote_safely "$root_spec"
        report PXE-INIT-root-bad-path "$root_source $quoted cannot be a root" \
            "it must be [SERVER:]/PATH[,OPTIONS], without .. and without unusual characters" \
            "correct it where it comes from"
        return 1
    fi
    if ! default_server; then
        report PXE-INIT-root-no-server "no NFS server for $root_path" \
            "$root_source names none, and neither next-server nor the DHCP server is known" \
            "write it as SERVER:$root_path"
        return 1
    fi
    sort_options
    choose_squashfs || return 1
    root_access=ro
    [ "$param_mode" != rw ] || root_access=rw
    [ -d "$nfs_root" ] && [ -d "$nfs_point" ] || mkdir -p "$nfs_root" "$nfs_point"
    wait_root || return 1
    add_state root "$root_server:$root_shown"
    [ -z "$squashfs_file" ] || add_state squashfs "$squashfs_file"
    add_state root.address "$root_address"
    add_state nfs.vers "$root_version"
    say "root: $root_server:$root_shown over NFS $root_version, init is $tree_init"
    check_modules
}

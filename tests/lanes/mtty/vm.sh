# Two virtual machines under software emulation, joined by a network of their own. Sourced by `run` and by whoever wants to look around:
#
#   vm_boot NAME ADDRESS MAC listen|connect [PORT]   boots VM NAME (`a` listens and boots first); PORT of this machine's loopback leads to its port 7101
#   vm_wait NAME                                     until its init waits for requests
#   vm_exec NAME SCRIPT                              runs the script in it: prints its output, returns its exit status
#   vm_alive NAME                                    whether its QEMU runs
#   vm_end NAME                                      powers it off, at the worst by force
#
# Needs: kernel (folder of kernel.sh), image (file of image.sh), app (folder of publish.sh, read-only in the VM as /app) and
# work (a folder; $work/NAME is /share in the VM, $work/NAME.console what its kernel says).

vm_boot() {
    local name=$1 address=$2 mac=$3 role=$4 port=${5:-} server=off forward=
    [ "$role" = listen ] && server=on
    [ -n "$port" ] && forward=,hostfwd=tcp:127.0.0.1:$port-:7101
    [ "$role" = listen ] || while [ ! -S "$work/net.sock" ] && vm_alive a; do sleep 0.1; done
    mkdir -p "$work/$name"
    mkfifo "$work/$name.bell.in" "$work/$name.bell.out"
    # A session each: the scheduler shares the CPUs out between sessions, and one shell's jobs would have a single share.
    setsid nice -n 5 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -nodefaults -no-reboot -nographic \
        -serial "file:$work/$name.console" -serial "pipe:$work/$name.bell" \
        -kernel "$kernel/vmlinuz" -initrd "$image" \
        -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off lane.name=$name lane.address=$address" \
        -netdev "stream,id=peer,server=$server,addr.type=unix,addr.path=$work/net.sock" \
        -device "virtio-net-pci,netdev=peer,mac=$mac,romfile=" \
        -netdev "user,id=host,restrict=on$forward" -device virtio-net-pci,netdev=host,romfile= \
        -virtfs "local,path=$app,mount_tag=app,security_model=none,readonly=on" \
        -virtfs "local,path=$work/$name,mount_tag=share,security_model=none" \
        </dev/null >"$work/$name.qemu" 2>&1 9>&- &
    echo $! >"$work/$name.pid"
    echo 0 >"$work/$name.requests"
}

vm_alive() {
    local pid
    read -r pid <"$work/$1.pid" && kill -0 "$pid" 2>/dev/null
}

vm_hear() { # NAME: the next line of its second serial port, or 1 when it has ended
    local line='' part
    until read -r -t 2 part <>"$work/$1.bell.out"; do
        line+=$part # a line comes byte by byte, and 2 s may end in the middle of it
        vm_alive "$1" || { echo "VM $1 has ended: $(tail -n 3 "$work/$1.qemu" "$work/$1.console")" >&2; return 1; }
    done
    echo "$line$part"
}

vm_wait() { [ "$(vm_hear "$1")" = up ]; }

vm_exec() {
    local name=$1 script=$2 number answer
    read -r number <"$work/$name.requests"
    echo $((number += 1)) >"$work/$name.requests"
    printf '%s\n' "$script" >"$work/$name/$number.sh"
    echo "$number" >"$work/$name.bell.in"
    answer=$(vm_hear "$name") || return 125
    cat "$work/$name/$number.out"
    return "${answer#* }"
}

vm_end() {
    local pid
    pid=$(cat "$work/$1.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.2; done
    kill -9 "$pid" 2>/dev/null
}

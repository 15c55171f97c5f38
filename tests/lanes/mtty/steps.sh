# What the lane shows, a function a step. Sourced by `run`; $work, $artifacts and the functions of vm.sh are its own.

port=$((20000 + RANDOM % 20000))
export MC_COORDINATOR=https://127.0.0.1:$port MC_CERTS=$work/certs/operator-lane
migctl() { "$artifacts/bin/MigrationCluster.Cli/debug/migctl" "$@"; }

devices() {
    vm_boot a 10.9.0.1 52:54:00:00:00:01 listen "$port"
    vm_boot b 10.9.0.2 52:54:00:00:00:02 connect
    check 'two kernels boot and have mtty' both_boot &&
        check 'mtty-1 and mtty-2 are probed: states, stream sizes' probe
}

cdevs_and_bitmaps() { # on a kernel with iommufd and its mock of an IOMMU
    check 'a device that a process has is refused to a second, which says so' held &&
        check 'without /dev/iommu a device that has a cdev is opened by its group' without_iommufd &&
        check 'a device that was left in Resuming is found so by who opens it next, and reset' shown_of_mtty left &&
        check 'the mock IOMMU says whether it logs, and makes a table that does' shown hardware &&
        check 'sets of pages in windows of 1 to 33000: each is read once, and no other page' shown patterns &&
        check 'windows are read apart from each other, and logged from when they are mapped' shown windows &&
        check 'a log that is started anew, and a window that is mapped anew, begin with no page' shown restart &&
        check 'a device that does not log itself: the IOMMU tells, exactly, up to STOP_COPY' shown_of_mtty device
}

migration() {
    check 'two daemons, mutual TLS between the kernels' cluster &&
        check 'a guest starts with an mtty-1 and an mtty-2 that were made for it' start_guest &&
        check 'an mtty-1 that would become an mtty-2 is refused before save_setup, and nothing has moved' refused &&
        check 'the destination daemon is killed while its devices are Resuming: the guest runs on at the source' killed &&
        check 'a stream that is cut short is refused by the kernel, and the migration rolls back' truncated &&
        check 'it migrates from one kernel to the other' migrate &&
        check 'every register, FIFO byte and page is as the guest left it' guest_is_whole b &&
        check 'the source kernel has no device left, the destination two' devices_are 0 2
}

both_boot() {
    vm_wait a && vm_wait b && vm_exec a 'uname -r; ls /sys/class/mdev_bus/mtty/mdev_supported_types' && vm_exec b 'for n in 1 2 3 4 5 6; do ping -c 1 -W 10 -q 10.9.0.1 && exit; done; exit 1'
}

probe() {
    local said by='group [0-9]*' log=Iommu
    [ -z "$iommufd" ] || by=iommufd log=Device
    said=$(vm_exec a '
        for type in mtty-1 mtty-2; do
            uuid=$(cat /proc/sys/kernel/random/uuid)
            echo $uuid >/sys/class/mdev_bus/mtty/mdev_supported_types/$type/create
            echo "$type:"
            mc-guest device --vfio $uuid --probe || exit
            echo 1 >/sys/bus/mdev/devices/$uuid/remove
        done')
    local status=$?
    echo "$said"
    [ $status -eq 0 ] && [ "$(grep -c '^capabilities StopCopy, P2P, PreCopy$' <<<"$said")" -eq 2 ] &&
        grep -q '^stop-copy-bytes 60$' <<<"$said" && grep -q '^stop-copy-bytes 96$' <<<"$said" &&
        [ "$(grep -c "^opened-by $by$" <<<"$said")" -eq 2 ] && [ "$(grep -c "^dirty-log $log$" <<<"$said")" -eq 2 ]
}

with_mtty() { # SCRIPT: runs it in VM a with a new mtty-2, whose UUID is $uuid
    vm_exec a "uuid=\$(cat /proc/sys/kernel/random/uuid)
        echo \$uuid >/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create || exit
        ( $1 )
        status=\$?
        echo 1 >/sys/bus/mdev/devices/\$uuid/remove
        exit \$status"
}

held() { # by its cdev, then by its group; then by nobody
    local said
    said=$(with_mtty 'mc-guest device --vfio $uuid --socket /tmp/uart.sock 2>/tmp/uart.log &
        trap "kill $! 2>/dev/null; wait $!" EXIT # or the device could not be removed
        until [ -S /tmp/uart.sock ]; do kill -0 $! || { cat /tmp/uart.log; exit 1; }; sleep 0.5; done
        mc-guest device --vfio $uuid --probe && exit 1
        kill $! && wait $! || { echo "the first ended with $?"; cat /tmp/uart.log; exit 1; }
        exec 4<>/dev/vfio/$(basename $(readlink /sys/bus/mdev/devices/$uuid/iommu_group))
        mc-guest device --vfio $uuid --probe && exit 1
        exec 4<&-
        mc-guest device --vfio $uuid --probe')
    local status=$?
    echo "$said"
    [ $status -eq 0 ] && grep -q 'BIND_IOMMUFD failed (EINVAL); expected a device that no other process has' <<<"$said" &&
        grep -q 'BIND_IOMMUFD failed (EBUSY); expected a device that no other process has' <<<"$said" && grep -q '^opened-by iommufd$' <<<"$said"
}

without_iommufd() {
    local said
    said=$(with_mtty 'mv /dev/iommu /dev/iommu.away
        mc-guest device --vfio $uuid --probe
        status=$?
        mv /dev/iommu.away /dev/iommu
        exit $status')
    local status=$?
    echo "$said"
    [ $status -eq 0 ] && grep -q 'cannot open /dev/iommu (ENOENT): the group is used' <<<"$said" && grep -q '^opened-by group [0-9]*$' <<<"$said"
}

shown() { # ARGUMENT: of the lane's program, which says what it has seen
    vm_exec a "MigrationCluster.IommufdLane $1"
}

shown_of_mtty() { with_mtty "MigrationCluster.IommufdLane $1 \$uuid"; }

daemon() { # NAME, environment of mc-node or nothing, options of mc-node
    local name=$1 environment=$2
    shift 2
    vm_exec "$name" "cd /share
        rm -f node.out
        env $environment mc-node --name $name $* --certs certs --data-dir /run/mc --config node.json >node.out 2>>node.log &
        echo \$! >node.pid
        until grep -qs '^listening' node.out; do kill -0 \$(cat node.pid) || { cat node.log; exit 1; }; sleep 0.5; done"
}

daemon_b() { daemon b "$1" --listen 10.9.0.2:7101 --data-listen 10.9.0.2:7102 --join https://10.9.0.1:7101; }

daemon_b_again() { # TYPE of its uart, environment: ends it where it lives, and starts it again
    vm_exec b 'kill $(cat /share/node.pid) 2>/dev/null; while kill -0 $(cat /share/node.pid) 2>/dev/null; do sleep 0.2; done'
    configure b "$1"
    daemon_b "$2" && until_both_up
}

configure() { # NAME, TYPE: node.json of a host whose template uart is of that type
    cat >"$work/$1/node.json" <<JSON
{ "memoryMiB": 256, "silenceSeconds": 60, "templates": { "uart": { "vfio": { "type": "$2" } }, "twin-uart": { "vfio": { "type": "mtty-2" } } } }
JSON
}

cluster() {
    local name
    migctl certs init "$work/certs" && migctl certs issue "$work/certs" --node a --may-coordinate &&
        migctl certs issue "$work/certs" --node b && migctl certs issue "$work/certs" --operator lane || return
    for name in a b; do cp -r "$work/certs/node-$name" "$work/$name/certs"; done
    configure a mtty-1
    configure b mtty-2
    daemon a '' --listen 0.0.0.0:7101 --advertise 10.9.0.1:7101 --data-listen 10.9.0.1:7102 --coordinator &
    daemon_b ''
    wait $! || return
    until_both_up
}

until_both_up() {
    local nodes
    for _ in $(seq 60); do
        nodes=$(migctl node list 2>&1)
        [ "$(grep -c ' up ' <<<"$nodes")" -eq 2 ] && echo "$nodes" && return
        sleep 1
    done
    echo "$nodes"
    return 1
}

start_guest() {
    cat >"$work/guest.json" <<'JSON'
{ "name": "g", "memoryMiB": 32, "vcpus": { "count": 1, "pattern": "uniform", "dirtyRateMiBps": 1 },
  "devices": [ { "name": "uart0", "template": "uart" }, { "name": "uart1", "template": "twin-uart" } ] }
JSON
    migctl guest start --host a --spec "$work/guest.json" && migctl guest check g && vm_exec a 'ls /sys/bus/mdev/devices'
}

migrate() { migctl migrate g --to b --max-downtime 9s; }

refused() {
    local said
    said=$(migrate 2>&1) && { echo "$said"; return 1; }
    echo "$said"
    grep -q 'mtty-1.*mtty-2\|mtty-2.*mtty-1' <<<"$said" && guest_is_whole a && devices_are 2 0
}

killed() {
    local mover
    daemon_b_again mtty-1 MC_FAILPOINTS=destination:after:StreamComplete=kill || return
    migrate &
    mover=$!
    vm_exec b 'for n in $(seq 360); do kill -0 $(cat /share/node.pid) 2>/dev/null || break; sleep 0.5; done
        tail -n 1 /share/node.log; ls /sys/bus/mdev/devices; ! kill -0 $(cat /share/node.pid) 2>/dev/null' &&
        until_rolled_back && guest_is_whole a && daemon_b_again mtty-1 MC_DEVICE_FAULTS=/share/faults || { kill $mover; return 1; }
    wait $mover && return 1
    grep -q 'failpoint destination:after:StreamComplete: kill' "$work/b/node.log" && devices_are 2 0
}

until_rolled_back() { # the source lets its guest run on by itself; b is away still
    for _ in $(seq 60); do
        migctl migration list | tee "$work/migrations" | grep -q RollingBack && cat "$work/migrations" && return
        sleep 1
    done
    cat "$work/migrations"
    return 1
}

truncated() {
    local said
    echo 'g/uart1 truncate-load' >"$work/b/faults"
    said=$(migrate 2>&1) && { echo "$said"; return 1; }
    echo "$said"
    rm "$work/b/faults"
    grep -q 'kernel.stream-incomplete' <<<"$said" && guest_is_whole a && devices_are 2 0
}

guest_is_whole() { # NAME of the host that is to run it
    migctl guest check g && migctl guest show g | tee "$work/shown" && grep -q "running on $1" "$work/shown"
}

devices_are() { # number on a, number on b
    local name
    for name in a b; do vm_exec $name 'ls /sys/bus/mdev/devices'; done | tee "$work/devices"
    [ "$(vm_exec a 'ls /sys/bus/mdev/devices | wc -l')" = "$1" ] && [ "$(vm_exec b 'ls /sys/bus/mdev/devices | wc -l')" = "$2" ]
}

# What the lane shows, a function a step. Sourced by `run`; $work, $app and the functions of vm.sh are its own.

port=$((20000 + RANDOM % 20000))
export MC_COORDINATOR=https://127.0.0.1:$port MC_CERTS=$work/certs/operator-lane
migctl() { "$app/migctl" "$@"; }

devices() {
    vm_boot a 10.9.0.1 52:54:00:00:00:01 listen "$port"
    vm_boot b 10.9.0.2 52:54:00:00:00:02 connect
    check 'two kernels boot and load mtty' both_boot &&
        check 'mtty-1 and mtty-2 are probed: states, stream sizes' probe
}

migration() {
    check 'two daemons, mutual TLS between the kernels' cluster &&
        check 'a guest starts with an mtty-1 and an mtty-2 that were made for it' start_guest &&
        check 'it migrates from one kernel to the other' migrate &&
        check 'every register, FIFO byte and page is as the guest left it' guest_is_whole &&
        check 'the source kernel has no device left, the destination two' devices_moved
}

both_boot() {
    vm_wait a && vm_wait b && vm_exec a 'uname -r; ls /sys/class/mdev_bus/mtty/mdev_supported_types' && vm_exec b 'for n in 1 2 3 4 5 6; do ping -c 1 -W 10 -q 10.9.0.1 && exit; done; exit 1'
}

probe() {
    local said
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
        grep -q '^stop-copy-bytes 60$' <<<"$said" && grep -q '^stop-copy-bytes 96$' <<<"$said"
}

daemon() { # NAME, options of mc-node
    vm_exec "$1" "cd /share
        mc-node --name $* --certs certs --data-dir /run/mc --config node.json >node.out 2>>node.log &
        echo \$! >node.pid
        until grep -q '^listening' node.out; do kill -0 \$(cat node.pid) || { cat node.log; exit 1; }; sleep 0.5; done"
}

cluster() {
    local name
    migctl certs init "$work/certs" && migctl certs issue "$work/certs" --node a --may-coordinate &&
        migctl certs issue "$work/certs" --node b && migctl certs issue "$work/certs" --operator lane || return
    for name in a b; do
        cp -r "$work/certs/node-$name" "$work/$name/certs"
        cat >"$work/$name/node.json" <<'JSON'
{ "memoryMiB": 256, "silenceSeconds": 60, "templates": { "uart": { "vfio": { "type": "mtty-1" } }, "twin-uart": { "vfio": { "type": "mtty-2" } } } }
JSON
    done
    daemon a --listen 0.0.0.0:7101 --advertise 10.9.0.1:7101 --data-listen 10.9.0.1:7102 --coordinator &
    daemon b --listen 10.9.0.2:7101 --data-listen 10.9.0.2:7102 --join https://10.9.0.1:7101
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

guest_is_whole() { migctl guest check g && migctl guest show g | tee "$work/shown" && grep -q '\bb\b' "$work/shown"; }

devices_moved() {
    [ "$(vm_exec a 'ls /sys/bus/mdev/devices | wc -l')" = 0 ] && [ "$(vm_exec b 'ls /sys/bus/mdev/devices | wc -l')" = 2 ]
}

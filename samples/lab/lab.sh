#!/usr/bin/env bash
# lab.sh - real overlay traffic on one machine, captured.
#
#   lab.sh all OUTDIR      build the lab, run every group, write the captures, remove the lab
#   lab.sh GROUP OUTDIR    the same for one group: geneve options vxlan any fragments ipv6 trouble ambient
#   lab.sh clean           remove what an interrupted run left behind
#
# Needs root, Linux with VXLAN, and the Debian packages
#   openvswitch-switch iproute2 iputils-ping tcpdump wireshark-common (dumpcap) python3 openssl
#
#   ts-p1 eth0 --- pod0 ts-n1 under0 --- r1 ts-r r2 --- under0 ts-n2 pod0 --- eth0 ts-p2
#                       172.20.1.0/24                172.20.2.0/24
#                       fd20:1::/64                  fd20:2::/64       pods: 10.20.0.0/24, fd00:20::/64
#
# Geneve comes from Open vSwitch's userspace datapath (one ovs-vswitchd per node), VXLAN from the kernel. All names
# start with ts-, all addresses live only inside these namespaces, nothing is connected to the machine's own network.
# Processes are known by pid file and start time; an exit trap ends them and deletes the namespaces.
set -u
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
HERE=$(cd "$(dirname "$0")" && pwd)
RUN=${TMPDIR:-/tmp}/ts-lab
SPACES="ts-n1 ts-n2 ts-p1 ts-p2 ts-r ts-z1"
peer() { ip netns exec "$1" /usr/bin/python3 "$HERE/peer.py" "${@:2}"; }
in_ns() { ip netns exec "$@"; }
quiet() { timeout 10 ip netns exec "$@" >/dev/null 2>&1; } # quiet NS COMMAND...

# ------------------------------------------------------------------------------------------------ processes
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
start() { # start NAME COMMAND...: in the background, remembered with its start time
  "${@:2}" >"$RUN/$1.log" 2>&1 </dev/null &
  echo "$! $(started_at $!)" >"$RUN/$1.pid"
}
finish() { # finish NAME [SIGNAL]: end it, if the pid still is the process we started
  local pid born
  read -r pid born <"$RUN/$1.pid" || return
  if [ -n "$born" ] && [ "$(started_at "$pid")" = "$born" ]; then
    kill -s "${2:-TERM}" "$pid" 2>/dev/null
    for _ in $(seq 40); do [ "$(started_at "$pid")" = "$born" ] || break; sleep 0.05; done
    [ "$(started_at "$pid")" = "$born" ] && kill -s KILL "$pid" 2>/dev/null
  fi
  wait "$pid" 2>/dev/null
  rm -f "$RUN/$1.pid"
}
clean() {
  trap - EXIT
  local f ns
  for f in "$RUN"/*.pid; do [ -f "$f" ] && finish "$(basename "$f" .pid)"; done
  for ns in $SPACES; do [ -e "/run/netns/$ns" ] && ip netns del "$ns"; done
  rm -rf "$RUN"
}

# ---------------------------------------------------------------------------------------------- Open vSwitch
vsctl() { ovs-vsctl --timeout=15 --db="unix:$RUN/$1/db" "${@:2}"; }
ofctl() { ovs-ofctl --timeout=15 -O OpenFlow14 "$2" "$RUN/$1/$3.mgmt" "${@:4}"; }
ovs() { # ovs NS: a database and a switch daemon of its own
  local dir=$RUN/$1
  mkdir -p "$dir"
  export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
  ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  start "db-$1" ovsdb-server "$dir/conf.db" --remote="punix:$dir/db" --unixctl="$dir/db.ctl"
  for _ in $(seq 50); do [ -S "$dir/db" ] && break; sleep 0.1; done
  vsctl "$1" --no-wait init
  start "switch-$1" ip netns exec "$1" ovs-vswitchd "unix:$dir/db" --unixctl="$dir/switch.ctl"
}
bridge() { # bridge NS NAME MAC [PORT...]
  # The kernel sees the ports' frames too. A MAC of its own for the bridge makes them "for someone else" there;
  # arp_ignore and no IPv6 keep the bare ports silent.
  local ns=$1 name=$2 port
  vsctl "$ns" add-br "$name" -- set bridge "$name" datapath_type=netdev "other-config:hwaddr=$3"
  for port in "${@:4}"; do
    in_ns "$ns" sysctl -qw "net.ipv4.conf.$port.arp_ignore=1" "net.ipv6.conf.$port.disable_ipv6=1"
    vsctl "$ns" add-port "$name" "$port" -- set interface "$port" ofport_request=1
  done
  ip -n "$ns" link set "$name" up
}
pair() { # pair NS1 IF1 NS2 IF2
  ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
  ip -n "$1" link set "$2" up
  ip -n "$3" link set "$4" up
  peer "$1" nocsum "$2" && peer "$3" nocsum "$4"
}
addresses() { local a; for a in "${@:3}"; do ip -n "$1" addr add "$a" dev "$2"; done; } # addresses NS DEV ADDRESS...
steer() { # steer NODE PORT ACTIONS: everything from the pod goes through tunnel port PORT, and back
  printf '%s\n' "in_port=1 actions=$3,output:$2" "in_port=$2 actions=output:1" >"$RUN/flows"
  ofctl "$1" replace-flows br-int "$RUN/flows"
}

# ----------------------------------------------------------------------------------------------- the nodes
build() {
  [ "$(id -u)" = 0 ] || { echo "lab.sh: needs root" >&2; exit 1; }
  for ns in $SPACES; do [ -e "/run/netns/$ns" ] && { echo "lab.sh: $ns exists; lab.sh clean?" >&2; exit 1; }; done
  trap clean EXIT
  trap 'exit 1' INT TERM HUP
  mkdir -p "$RUN" "$OUT"
  local ns i other
  for ns in $SPACES; do
    ip netns add "$ns"
    ip -n "$ns" link set lo up
    in_ns "$ns" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.ip_forward=1 \
      net.ipv4.fwmark_reflect=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
  done
  in_ns ts-r sysctl -qw net.ipv6.conf.all.forwarding=1
  for i in 1 2; do
    other=$((3 - i))
    pair ts-n$i under0 ts-r r$i
    addresses ts-r r$i 172.20.$i.254/24 fd20:$i::fe/64
    pair ts-p$i eth0 ts-n$i pod0
    ip -n ts-p$i link set eth0 mtu 1400 address 02:00:00:00:20:0$i
    addresses ts-p$i eth0 10.20.0.$i/24 fd00:20::$i/64
    ovs ts-n$i
    bridge ts-n$i br-under 02:00:00:00:17:0$i under0
    addresses ts-n$i br-under 172.20.$i.1/24 fd20:$i::1/64
    ip -n ts-n$i route add 172.20.$other.0/24 via 172.20.$i.254
    ip -n ts-n$i route add fd20:$other::/64 via fd20:$i::fe
    bridge ts-n$i br-int 02:00:00:00:18:0$i pod0
    vsctl ts-n$i -- add-port br-int gnv -- set interface gnv type=geneve ofport_request=2 \
      options:remote_ip=172.20.$other.1 options:key=flow -- add-port br-int gnv6 -- set interface gnv6 type=geneve \
      ofport_request=3 options:remote_ip=fd20:$other::1 options:key=flow options:csum=true
    vxlan_devices $i $other
  done
  # Both ends know three options; only node 1 knows the fourth and fifth.
  local known="{class=0x0102,type=0x80,len=4}->tun_metadata0,{class=0x0108,type=0x01,len=8}->tun_metadata1"
  known="$known,{class=0xff01,type=0x02,len=16}->tun_metadata2"
  ofctl ts-n1 add-tlv-map br-int "$known,{class=0xff02,type=0x81,len=4}->tun_metadata3,{class=0xff02,type=0x01,len=8}->tun_metadata4"
  ofctl ts-n2 add-tlv-map br-int "$known"
  for ns in ts-p1 ts-p2 ts-n2; do run_peer "$ns" serve; done
  sleep 1
}
run_peer() { start "$2-$1" ip netns exec "$1" /usr/bin/python3 "$HERE/peer.py" "${@:2}"; } # run_peer NS KIND...

vxlan_devices() { # kernel VXLAN on node $1 towards node $2
  local ns=ts-n$1 here=172.20.$1.1 there=172.20.$2.1
  # GBP: the group is the packet's mark; unmarked packets are plain VXLAN
  ip -n $ns link add vx42 address 02:00:00:00:42:0$1 type vxlan id 42 local $here remote $there dstport 4789 gbp
  ip -n $ns addr add 10.42.0.$1/24 dev vx42
  ip -n $ns link add vx6 address 02:00:00:00:43:0$1 type vxlan id 43 local fd20:$1::1 remote fd20:$2::1 dstport 4789 gbp
  ip -n $ns addr add 10.43.0.$1/24 dev vx6
  # Cilium puts the sender's identity into the VNI: here the route does
  ip -n $ns link add cilium_vxlan address 02:00:00:00:84:0$1 type vxlan external dstport 8472
  ip -n $ns addr add 10.84.$1.1/32 dev cilium_vxlan
  ip -n $ns link add vxgpe type vxlan external gpe dstport 4790
  ip -n $ns addr add 10.90.$1.1/32 dev vxgpe
  local dev
  for dev in vx42 vx6 cilium_vxlan vxgpe; do
    in_ns $ns sysctl -qw net.ipv6.conf.$dev.disable_ipv6=1
    ip -n $ns link set $dev mtu 1400 up
  done
  ip -n $ns route add 10.84.$2.1/32 encap ip id $((20000 + $1)) src $here dst $there dev cilium_vxlan src 10.84.$1.1
  ip -n $ns route add 10.90.$2.1/32 encap ip id 77 src $here dst $there dev vxgpe src 10.90.$1.1
}

# ------------------------------------------------------------------------------------------------ captures
LIVE= OUT=
capture() { # capture NS INTERFACE FILE [tcpdump arguments...]
  LIVE="$LIVE cap-$3"
  start "cap-$3" ip netns exec "$1" tcpdump -Z root -n -U --immediate-mode -i "$2" -w "$OUT/$3" "${@:4}"
  listening "cap-$3"
}
listening() { for _ in $(seq 60); do grep -qE 'listening on|File:' "$RUN/$1.log" && break; sleep 0.1; done; sleep 0.3; }
stop_captures() {
  sleep 0.7
  local name
  for name in $LIVE; do finish "$name" INT; done
  LIVE=
}
forget() { local i; for i in 1 2; do ip -n ts-p$i neigh flush all; done; }
p1() { quiet ts-p1 "$@"; }
ask_from() { quiet "$1" /usr/bin/python3 "$HERE/peer.py" "${@:2}"; } # ask_from NS KIND ADDRESS
ask() { ask_from ts-p1 "$@"; }

# ------------------------------------------------------------------------------------------------ the groups
ovn=0x00010002 # OVN's ports: ingress 1, egress 2; the other way round on node 2
back=0x00020001
steer_ovn() { # steer_ovn VNI PORT
  steer ts-n1 "$2" "set_field:$1->tun_id,set_field:$ovn->tun_metadata0"
  steer ts-n2 "$2" "set_field:$1->tun_id,set_field:$back->tun_metadata0"
}
warm() { p1 ping -c3 -i0.3 -W1 10.20.0.2; forget; } # the switch drops packets while it resolves its next hop

group_geneve() {
  steer_ovn 5001 2
  warm
  capture ts-n1 under0 geneve-ovn.pcap udp port 6081
  p1 ping -c2 -i0.2 10.20.0.2
  p1 ping -c2 -i0.2 fd00:20::2
  ask dns 10.20.0.2
  ask http 10.20.0.2
  ask http fd00:20::2
  stop_captures
}
group_options() {
  steer_ovn 5001 2
  warm
  capture ts-n1 under0 geneve-options.pcap udp port 6081
  local three="set_field:$ovn->tun_metadata0,set_field:0x1122334455667788->tun_metadata1"
  three="$three,set_field:0x000102030405060708090a0b0c0d0e0f->tun_metadata2"
  steer ts-n1 2 "set_field:5002->tun_id,$three"
  steer ts-n2 2 "set_field:5002->tun_id"
  p1 ping -c1 10.20.0.2
  ask http 10.20.0.2
  # an option node 2 does not know: not critical, so it answers; critical, so it must not
  steer ts-n1 2 "set_field:5003->tun_id,set_field:0x0102030405060708->tun_metadata4"
  steer ts-n2 2 "set_field:5003->tun_id"
  p1 ping -c1 10.20.0.2
  steer ts-n1 2 "set_field:5004->tun_id,set_field:0xdeadbeef->tun_metadata3"
  p1 ping -c2 -i0.2 -W1 10.20.0.2
  steer ts-n1 2 "set_field:5005->tun_id,set_field:oam->tun_flags"
  steer ts-n2 2 "set_field:5005->tun_id,set_field:oam->tun_flags"
  p1 ping -c1 10.20.0.2
  stop_captures
}
group_vxlan() {
  quiet ts-n1 ping -c2 -i0.2 10.42.0.2
  ip -n ts-n1 neigh flush dev vx42
  capture ts-n1 under0 vxlan-kernel.pcap udp
  quiet ts-n1 ping -c2 -i0.2 10.42.0.2
  ask_from ts-n1 http 10.42.0.2
  quiet ts-n1 ping -c1 -m 291 10.42.0.2 # GBP group 0x123, reflected in the answer
  quiet ts-n1 ping -c2 -i0.2 10.84.2.1
  ask_from ts-n1 http 10.84.2.1
  quiet ts-n1 ping -c2 -i0.2 10.90.2.1
  stop_captures
}
group_any() {
  steer_ovn 5001 2
  warm
  capture ts-n2 any any-sll2.pcap -y LINUX_SLL2 not icmp6
  p1 ping -c1 10.20.0.2
  ask http 10.20.0.2
  quiet ts-n1 ping -c1 10.42.0.2
  stop_captures
}
group_fragments() {
  steer_ovn 5001 2
  local i
  for i in 1 2; do vsctl ts-n$i set interface gnv options:df_default=false; done
  warm
  quiet ts-n1 ping -c1 10.42.0.2
  capture ts-r r2 fragments.pcap udp or icmp or 'ip[6:2] & 0x3fff != 0'
  p1 ping -c1 -s 4000 10.20.0.2         # inner fragments, each in a packet of its own
  ip -n ts-r link set r2 mtu 1300       # the second hop is narrower
  ip -n ts-n2 link set under0 mtu 1300
  p1 ping -c1 -W1 -s 1340 10.20.0.2     # outer fragments; node 2's switch does not reassemble: no answer
  quiet ts-n1 ping -c1 -W1 -M dont -s 1340 10.42.0.2 # the kernel does
  sleep 0.3
  stop_captures
  ip -n ts-r link set r2 mtu 1500
  ip -n ts-n2 link set under0 mtu 1500
  for i in 1 2; do vsctl ts-n$i set interface gnv options:df_default=true; done
}
group_ipv6() {
  steer_ovn 5006 3
  warm
  quiet ts-n1 ping -c1 10.43.0.2
  capture ts-n1 under0 ipv6-underlay.pcap ip6 and udp
  p1 ping -c2 -i0.2 10.20.0.2
  p1 ping -c1 fd00:20::2
  ask dns fd00:20::2
  ask http 10.20.0.2
  quiet ts-n1 ping -c2 -i0.2 10.43.0.2
  stop_captures
}
group_trouble() { # the pods' second network leads over a bad wire between node 2 and pod 2
  pair ts-p2 eth1 ts-n2 wire1
  ip -n ts-n2 link add wire2 type veth peer name wire3
  local i
  for i in wire1 wire2 wire3; do in_ns ts-n2 sysctl -qw net.ipv6.conf.$i.disable_ipv6=1 net.ipv4.conf.$i.arp_ignore=1; done
  for i in wire2 wire3; do ip -n ts-n2 link set $i up; done
  run_peer ts-n2 badwire wire1 wire2
  in_ns ts-p2 sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1
  ip -n ts-p2 addr add 10.30.0.2/24 dev eth1
  ip -n ts-p1 addr add 10.30.0.1/24 dev eth0
  vsctl ts-n2 add-port br-int wire3 -- set interface wire3 ofport_request=9
  steer ts-n1 2 "set_field:6000->tun_id"
  printf '%s\n' "in_port=9 actions=set_field:6000->tun_id,output:2" "in_port=2 actions=output:9" >"$RUN/flows"
  ofctl ts-n2 replace-flows br-int "$RUN/flows"
  sleep 0.5
  p1 ping -c3 -i0.3 -W1 10.30.0.2
  capture ts-n1 under0 tcp-trouble.pcap udp port 6081
  ask bulk 10.30.0.2
  ask reset 10.30.0.2
  ask slow 10.30.0.2
  sleep 2 # until the slow reader reads
  stop_captures
  finish badwire-ts-n2
}

. "$HERE/ambient.sh" # group_ambient

GROUPS_ALL="geneve options vxlan any fragments ipv6 trouble ambient"
case "${1:-}" in
  clean) clean ;;
  all | geneve | options | vxlan | any | fragments | ipv6 | trouble | ambient)
    OUT=$(mkdir -p "${2:?lab.sh: where to?}" && cd "$2" && pwd)
    [ "$1" = all ] || GROUPS_ALL=$1
    build
    for group in $GROUPS_ALL; do echo "== $group" >&2; group_$group; done ;;
  *) sed -n '2,/^set -u/p' "$0" | sed '/^set -u/d; s/^# \{0,1\}//'; exit 2 ;;
esac

# shellcheck shell=bash
# Sourced by lab.sh.
#
# Istio 1.18 ambient: the node leads TCP of mesh pods to ztunnel. The first packet goes through a Geneve tunnel
# (istioout, VNI 1001, for what pods send; istioin, VNI 1000, for what they get), everything after it bare through
# ztunnel's veth. Istio tells them apart by connection marks; here the switch hands SYNs to the node through a port
# of their own (podsyn, undersyn) and routing goes by incoming port. ztunnel is peer.py, taking any address.
group_ambient() {
  local pod=10.244.1.10 host=10.244.1.1 zt=10.244.1.2 remote=10.244.2.10 ns port
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ztunnel \
    -addext subjectAltName=URI:spiffe://cluster.local/ns/default/sa/lab -keyout "$RUN/key" -out "$RUN/crt" 2>/dev/null
  cat "$RUN/key" "$RUN/crt" >"$RUN/pem"
  # the pod and ztunnel on node 1, the remote pod's address on node 2
  pair ts-p1 eth1 ts-n1 vetha
  pair ts-z1 eth0 ts-n1 vethz
  bridge ts-n1 br-pod 02:00:00:00:0a:01 vetha
  bridge ts-n1 br-zt 02:00:00:00:0a:02 vethz
  ovs ts-z1
  bridge ts-z1 br-eth0 02:00:00:00:0a:03 eth0
  ip -n ts-p1 addr add $pod/32 dev eth1
  ip -n ts-p1 route add $host dev eth1 src $pod
  ip -n ts-p1 route add 10.244.2.0/24 via $host dev eth1 src $pod
  ip -n ts-n1 addr add $host/24 dev br-zt
  ip -n ts-n1 route add $pod dev br-pod src $host
  ip -n ts-n1 route add 10.244.2.0/24 via 172.20.1.254
  ip -n ts-r route add 10.244.1.0/24 via 172.20.1.1
  ip -n ts-r route add 10.244.2.0/24 via 172.20.2.1
  ip -n ts-n2 route add 10.244.1.0/24 via 172.20.2.254
  ip -n ts-n2 addr add $remote/32 dev lo
  ip -n ts-z1 addr add $zt/24 dev br-eth0 noprefixroute
  ip -n ts-z1 route add $host dev br-eth0 src $zt
  ip -n ts-z1 route add default via $host src $zt
  # SYNs get a way of their own
  vsctl ts-n1 add-port br-pod podsyn -- set interface podsyn type=internal ofport_request=2 'mac="02:00:00:00:0a:01"' \
    -- add-port br-under undersyn -- set interface undersyn type=internal ofport_request=2 'mac="02:00:00:00:17:01"'
  ofctl ts-n1 del-flows br-pod
  ofctl ts-n1 add-flow br-pod "priority=9,in_port=1,tcp,tcp_flags=+syn-ack actions=output:2"
  ofctl ts-n1 add-flow br-pod "priority=1,in_port=1 actions=LOCAL"
  ofctl ts-n1 add-flow br-pod "priority=1 actions=output:1"
  ofctl ts-n1 add-flow br-under "priority=9,in_port=1,tcp,tp_dst=15008,tcp_flags=+syn-ack actions=output:2"
  # the tunnels: node and ztunnel are each other's remote
  tunnel_pair ts-n1 $zt istioin istioout 1
  tunnel_pair ts-z1 $host pistioin pistioout 2
  for port in podsyn undersyn; do
    in_ns ts-n1 sysctl -qw net.ipv6.conf.$port.disable_ipv6=1 net.ipv4.conf.$port.arp_ignore=8
    ip -n ts-n1 link set $port up
  done
  for ns in ts-n1 ts-z1; do for port in $(ls_ports $ns); do in_ns $ns sysctl -qw net.ipv4.conf.$port.accept_local=1; done; done
  ip -n ts-n1 route add default via 192.168.127.2 dev istioout table 101
  ip -n ts-n1 route add $pod via 192.168.126.2 dev istioin table 100
  ip -n ts-n1 route add default via $zt dev br-zt onlink table 102
  ip -n ts-n1 rule add iif podsyn lookup 101
  ip -n ts-n1 rule add iif undersyn lookup 100
  ip -n ts-n1 rule add iif br-pod ipproto tcp lookup 102
  ip -n ts-n1 rule add iif br-under ipproto tcp dport 15008 lookup 102
  ip -n ts-n1 rule add iif br-under ipproto tcp sport 15008 lookup 102
  ip -n ts-z1 route add local 0.0.0.0/0 dev lo table 100
  for port in pistioin pistioout br-eth0; do ip -n ts-z1 rule add iif $port ipproto tcp lookup 100; done
  run_peer ts-z1 ztunnel "$RUN/pem"
  run_peer ts-n2 meshserver "$RUN/pem"
  sleep 0.7
  quiet ts-n1 ping -c3 -i0.3 -W1 192.168.126.2
  quiet ts-n1 ping -c3 -i0.3 -W1 192.168.127.2
  quiet ts-p1 ping -c2 -i0.3 -W1 $remote
  ip -n ts-n1 neigh flush dev istioin
  ip -n ts-n1 neigh flush dev istioout
  LIVE="$LIVE cap-ambient"
  start cap-ambient ip netns exec ts-n1 dumpcap -q -f 'not ip6' -i vetha -i istioout -i istioin -i vethz -i under0 \
    -w "$OUT/ambient-syn-only.pcapng"
  listening cap-ambient
  ask http $remote                                                # pod to pod through ztunnel
  ask_from ts-n2 meshclient $pod $remote "$RUN/pem"               # the other way round
  p1 ping -c1 $remote                                             # ICMP is left alone
  sleep 0.5
  stop_captures
  chmod 644 "$OUT/ambient-syn-only.pcapng"
}
ls_ports() { ip -n "$1" -o link | sed 's/^[0-9]*: //; s/[:@].*//' | grep -E 'istio|^br-|syn'; }
tunnel_pair() { # tunnel_pair NS REMOTE IN OUT LAST-BYTE
  vsctl "$1" add-br br-amb -- set bridge br-amb datapath_type=netdev \
    -- add-port br-amb "$3" -- set interface "$3" type=internal ofport_request=1 \
    -- add-port br-amb "$4" -- set interface "$4" type=internal ofport_request=2 \
    -- add-port br-amb "gnv-$1" -- set interface "gnv-$1" type=geneve ofport_request=3 options:remote_ip="$2" \
    options:key=flow options:df_default=false
  printf '%s\n' "in_port=1 actions=set_field:1000->tun_id,output:3" "in_port=2 actions=set_field:1001->tun_id,output:3" \
    "in_port=3,tun_id=1000 actions=output:1" "in_port=3,tun_id=1001 actions=output:2" >"$RUN/flows"
  ofctl "$1" replace-flows br-amb "$RUN/flows"
  local dev
  for dev in "$3" "$4"; do
    in_ns "$1" sysctl -qw "net.ipv6.conf.$dev.disable_ipv6=1"
    ip -n "$1" link set "$dev" mtu 1450 up
  done
  ip -n "$1" addr add "192.168.126.$5/30" dev "$3"
  ip -n "$1" addr add "192.168.127.$5/30" dev "$4"
}

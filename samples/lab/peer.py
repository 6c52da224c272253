#!/usr/bin/python3
"""Small peers for lab.sh: servers, clients and a bad wire. Standard library only.

peer.py serve                 HTTP 8080, DNS 53/udp, upload+echo 8081, slow reader 8082, resetter 8083
peer.py http|bulk|slow|reset ADDRESS [MARK]    one connection to the server of that kind
peer.py dns ADDRESS           one A and one AAAA query
peer.py badwire IF1 IF2       forwards frames both ways; loses, swaps and doubles a few large ones
peer.py nocsum INTERFACE      checksums in software, so that the capture shows good ones
peer.py ztunnel CERT          takes 8080 and 15008 for any address: plain in, TLS out; TLS in, plain out
peer.py meshserver CERT       TLS 1.3 with ALPN h2 on 15008, HTTP inside
peer.py meshclient ADDRESS SOURCE CERT   TLS 1.3, ALPN h2, no server name: what ztunnel sends
"""
import array
import fcntl
import select
import socket
import ssl
import struct
import sys
import threading
import time

BULK = 6000
MSS = 536  # many small segments: loss and reordering show, the capture stays small
SOL_IP, IP_TRANSPARENT = 0, 19
REQUEST = b"GET / HTTP/1.1\r\nHost: web.example\r\nUser-Agent: lab\r\n\r\n"


def listener(port, receive_buffer=None):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MSS)
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.bind(("::", port))
    s.listen()
    return s


def connect(address, port, mark=0):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.settimeout(8)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MSS)
    if mark:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    s.connect((address, port))
    return s


def read_exactly(s, count):
    got = b""
    while len(got) < count:
        part = s.recv(4096)
        if not part:
            break
        got += part
    return got


def serve_http(s):
    s.recv(2048)
    body = b"hello from the overlay\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    s.sendall(head % len(body) + body)


def serve_bulk(s):
    s.sendall(read_exactly(s, BULK))


def serve_slow(s):
    time.sleep(1.5)  # the small receive buffer fills meanwhile: zero window
    read_exactly(s, 1 << 20)


def serve_reset(s):
    s.recv(100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def accept_loop(listening, handle):
    def one(s):
        with s:
            handle(s)

    while True:
        s, _ = listening.accept()
        threading.Thread(target=one, args=(s,), daemon=True).start()


def accept_all(port, handle, receive_buffer=None):
    threading.Thread(target=accept_loop, args=(listener(port, receive_buffer), handle), daemon=True).start()


def dns_answer(query):
    question = query[12:]
    if struct.unpack(">H", question[-4:-2])[0] == 28:
        data = socket.inet_pton(socket.AF_INET6, "fd00:96::a")
        kind = 28
    else:
        data, kind = socket.inet_aton("10.96.0.10"), 1
    record = struct.pack(">HHHIH", 0xC00C, kind, 1, 30, len(data)) + data
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + record


def serve():
    accept_all(8080, serve_http)
    accept_all(8081, serve_bulk)
    accept_all(8082, serve_slow, receive_buffer=2304)
    accept_all(8083, serve_reset)
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind(("::", 53))
    while True:
        query, sender = s.recvfrom(512)
        s.sendto(dns_answer(query), sender)


def http(address, mark=0):
    with connect(address, 8080, mark) as s:
        s.sendall(REQUEST)
        read_exactly(s, 1 << 16)


def bulk(address, mark=0):
    with connect(address, 8081, mark) as s:
        s.sendall(bytes(i & 0xFF for i in range(BULK)))
        read_exactly(s, BULK)


def slow(address, mark=0):
    with connect(address, 8082, mark) as s:
        s.sendall(b"z" * 6000)


def reset(address, mark=0):
    for port in (8083, 8099):  # accepted and reset; refused
        try:
            with connect(address, port, mark) as s:
                s.sendall(b"please reset me")
                s.recv(100)
        except OSError:
            pass


def dns(address, _mark=0):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    name = b"".join(bytes([len(p)]) + p for p in (b"web", b"svc", b"example")) + b"\0"
    for number, kind in ((0x1001, 1), (0x1002, 28)):
        s.sendto(struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", kind, 1), (address, 53))
        s.recv(512)


def badwire(one, two):
    """Counts frames of 300 bytes and more in each direction; the fates are fixed, so runs look alike."""
    ends = []
    for name in (one, two):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.bind((name, 0))
        ends.append(s)
    seen, held = [0, 0], [None, None]
    while True:
        for s in select.select(ends, [], [])[0]:
            frame, (_, _, packet_type, _, _) = s.recvfrom(65536)
            if packet_type == socket.PACKET_OUTGOING:
                continue
            way = ends.index(s)
            out = ends[1 - way]
            if len(frame) >= 300:
                seen[way] += 1
                if seen[way] == 3:
                    continue  # lost
                if seen[way] == 7:
                    held[way] = frame  # overtaken by the next one
                    continue
                if seen[way] == 10:
                    out.send(frame)  # doubled
            out.send(frame)
            if held[way] and len(frame) >= 300:
                out.send(held[way])
                held[way] = None


def nocsum(interface):
    """ETHTOOL_STXCSUM, ETHTOOL_STSO and ETHTOOL_SGSO off: what `ethtool -K` does."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for command in (0x17, 0x1F, 0x24):
        value = array.array("B", struct.pack("II", command, 0))
        try:
            fcntl.ioctl(s, 0x8946, struct.pack("16sP", interface.encode(), value.buffer_info()[0]))
        except OSError:
            pass


def tls(side, cert):
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(cert)
    if side == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    return context


def spoofed(source, address, port):
    """Connects with an address of somebody else, as ztunnel does (IP_TRANSPARENT)."""
    s = socket.socket()
    s.settimeout(8)
    s.setsockopt(SOL_IP, IP_TRANSPARENT, 1)
    s.bind((source, 0))
    s.connect((address, port))
    return s


def relay(one, two):
    """One request, one answer; ends when the answering side closes."""
    two.sendall(one.recv(4096))
    one.sendall(read_exactly(two, 1 << 16))


def ztunnel(cert):
    server, client = tls(ssl.PROTOCOL_TLS_SERVER, cert), tls(ssl.PROTOCOL_TLS_CLIENT, cert)

    def outbound(s):
        source, wanted = s.getpeername()[0], s.getsockname()[0]
        with client.wrap_socket(spoofed(source, wanted, 15008)) as out:
            relay(s, out)

    def inbound(s):
        source, wanted = s.getpeername()[0], s.getsockname()[0]
        with server.wrap_socket(s, server_side=True) as plain, spoofed(source, wanted, 8080) as out:
            relay(plain, out)

    for port, handle in ((8080, outbound), (15008, inbound)):
        s = socket.socket()
        s.setsockopt(SOL_IP, IP_TRANSPARENT, 1)
        s.bind(("0.0.0.0", port))
        s.listen()
        threading.Thread(target=accept_loop, args=(s, handle)).start()


def meshserver(cert):
    context = tls(ssl.PROTOCOL_TLS_SERVER, cert)

    def handle(s):
        with context.wrap_socket(s, server_side=True) as inside:
            serve_http(inside)

    accept_loop(listener(15008), handle)


def meshclient(address, source, cert):
    with tls(ssl.PROTOCOL_TLS_CLIENT, cert).wrap_socket(spoofed(source, address, 15008)) as s:
        s.sendall(REQUEST)
        read_exactly(s, 1 << 16)


if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["help"]
    if command in ("http", "bulk", "slow", "reset", "dns"):
        globals()[command](rest[0], int(rest[1]) if rest[1:] else 0)
    elif command == "serve":
        serve()
    elif command in ("badwire", "nocsum", "ztunnel", "meshserver", "meshclient"):
        globals()[command](*rest)
    else:
        sys.exit(__doc__)

import { describe, expect, it } from 'vitest';
import {
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inIpv4,
  inUdp,
  join,
} from './packet.ts';

const ESP = hex('00001001 00000007 00112233445566778899aabbccddeeff 0011223344556677');

const IKE = hex(`
  0102030405060708 0000000000000000   # SPIs
  21 20 22 08 00000000 00000020       # SA, version 2.0, IKE_SA_INIT, initiator, message 0, 32 bytes
  00000004                            # what is left of a payload
`);

const AH = hex(`
  01 04 0000 00001002 00000009 00112233445566778899aabb   # ICMP follows, 24 bytes
  08 00 1f6a 0102 0003
`);

describe('ESP', () => {
  it('reads SPI and sequence number and stops there, at ease', () => {
    const packet = dissect(inIpv4(50, ESP));
    expect(packet.protocols).toEqual(['ip', 'esp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'esp')).toEqual({ 'esp.spi': 0x1001, 'esp.sequence': 7 });
    expect(packet.infos[1]).toBe('ESP (SPI=0x00001001) Seq=7');
  });

  it('remarks on a reserved SPI', () => {
    expect(codesOf(dissect(inIpv4(50, hex('000000ff 00000007 00112233'))))).toEqual(['esp.spi']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inIpv4(50, ESP)));
  it('survives anything', () => expectSurvivesAnything('esp', [ESP]));
});

describe('AH', () => {
  it('goes on behind the integrity check value', () => {
    const packet = dissect(inIpv4(51, AH));
    expect(packet.protocols).toEqual(['ip', 'ah', 'icmp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'ah')).toEqual({
      'ah.next_header': 1,
      'ah.length': 4,
      'ah.reserved': '0000',
      'ah.spi': 0x1002,
      'ah.sequence': 9,
      'ah.icv': '00112233445566778899aabb',
    });
  });

  it('is malformed where its length is less than its header or more than the packet', () => {
    expect(dissect(inIpv4(51, hex('01 00 0000 00001002 00000009'))).stop).toBe('malformed');
    expect(dissect(inIpv4(51, hex('01 04 0000 00001002 00000009 00112233'))).stop).toBe('malformed');
  });

  it('says which protocol is unknown', () => {
    const packet = dissect(inIpv4(51, hex('fd 01 0000 00001002 00000009 00112233')));
    expect(packet.stop).toBe('unknown');
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inIpv4(51, AH)));
  it('survives anything', () => expectSurvivesAnything('ah', [AH]));
});

describe('ESP in UDP', () => {
  const KEEPALIVE = hex('ff');
  const MARKED = join(hex('00000000'), IKE);

  it('knows keepalives, IKE and ESP apart', () => {
    const keepalive = dissect(inUdp(4500, 4500, KEEPALIVE));
    expect(keepalive.protocols).toEqual(['ip', 'udp', 'udpencap']);
    expect(fieldsOf(keepalive, 'udpencap')).toEqual({ 'udpencap.nat_keepalive': true });
    expect(keepalive.infos[2]).toBe('NAT-keepalive');

    const ike = dissect(inUdp(4500, 4500, MARKED));
    expect(ike.protocols).toEqual(['ip', 'udp', 'udpencap', 'isakmp']);
    expect(fieldsOf(ike, 'udpencap')).toEqual({ 'udpencap.non_esp_marker': true });

    const esp = dissect(inUdp(4500, 4500, ESP));
    expect(esp.protocols).toEqual(['ip', 'udp', 'udpencap', 'esp']);
    expect(fieldsOf(esp, 'udpencap')).toEqual({});
    expect(fieldsOf(esp, 'esp')).toEqual({ 'esp.spi': 0x1001, 'esp.sequence': 7 });

    for (const packet of [keepalive, ike, esp]) expect(packet).toMatchObject({ stop: null, remarks: [] });
  });

  it('is malformed with neither', () => {
    for (const payload of ['fe', 'ffff', '000000']) {
      expect(dissect(inUdp(4500, 4500, hex(payload))).stop).toBe('malformed');
    }
  });

  it('believes the source port alone only where the bytes agree', () => {
    const protocols = (payload: Uint8Array) => dissect(inUdp(4500, 40000, payload)).protocols.slice(2);
    expect(protocols(KEEPALIVE)).toEqual(['udpencap']);
    expect(protocols(ESP)).toEqual(['udpencap', 'esp']);
    expect(protocols(MARKED)).toEqual(['udpencap', 'isakmp']);
    expect(protocols(hex('00'))).toEqual([]);
    expect(protocols(hex('00000001 00000000'))).toEqual([]);
    expect(protocols(join(hex('00000000'), new Uint8Array(28)))).toEqual([]);
  });

  it('keeps what was captured', () => {
    for (const payload of [KEEPALIVE, MARKED, ESP]) expectTruncationsKeepLayers(inUdp(4500, 4500, payload));
  });
  it('survives anything', () => expectSurvivesAnything('udpencap', [KEEPALIVE, MARKED, ESP]));
});

describe('IKE', () => {
  it('reads the header of version 2', () => {
    const packet = dissect(inUdp(500, 500, IKE));
    expect(packet.protocols).toEqual(['ip', 'udp', 'isakmp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'isakmp')).toEqual({
      'isakmp.ispi': '0102030405060708',
      'isakmp.rspi': '0000000000000000',
      'isakmp.nextpayload': 33,
      'isakmp.version': 0x20,
      'isakmp.exchangetype': 34,
      'isakmp.flags': 8,
      'isakmp.messageid': 0,
      'isakmp.length': 32,
      'isakmp.flag_i': true,
      'isakmp.flag_v': false,
      'isakmp.flag_r': false,
    });
    expect(packet.infos[2]).toBe('IKE_SA_INIT MID=00 Initiator Request');
  });

  it('reads the header of version 1, and remarks on a length that is not the one there is', () => {
    const main = hex('0102030405060708 0000000000000000 01 10 02 01 00000000 00000064');
    const packet = dissect(inUdp(500, 500, main));
    expect(packet.infos[2]).toBe('Identity Protection (Main Mode) MID=00');
    expect(fieldsOf(packet, 'isakmp')).toMatchObject({ 'isakmp.flag_e': true, 'isakmp.flag_c': false });
    expect(codesOf(packet)).toEqual(['isakmp.length']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inUdp(500, 500, IKE)));
  it('survives anything', () => expectSurvivesAnything('isakmp', [IKE]));
});

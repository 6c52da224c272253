/** Files on which the reader and tshark 4.0.17 differ, with the reason. */
export const differences: readonly (readonly [file: RegExp, reason: string])[] = [
  [/kitchen-sink-(le|trunc-00700|trunc-09\d+)\.pcapng$/, 'tshark numbers custom blocks as packets'],
  [/ngtestgen__.*test(017|018|102|202)\.pcapng$/, 'tshark numbers custom blocks as packets'],
  [/ngtestgen__.*test(010|011|100)\.pcapng$/, 'simple packet blocks: no time in tshark, 1970 here'],
  [/geneve-spb-.*\.pcapng$/, 'simple packet blocks: no time in tshark, 1970 here'],
  [/geneve-tsresol-ps-off-be\.pcapng$/, 'tshark overflows 64 bits with picoseconds'],
  [/geneve-(rh6_1|suse6_3)pcap\.pcap$/, 'other record header under the standard magic number, not supported'],
  [/geneve-ts-epoch0-and-max\.pcap$/, 'tshark does not carry excess fractions into the seconds'],
  [/timestamp_invalid_nano\.pcap$/, 'tshark does not carry excess fractions into the seconds'],
  [/brcm-tag|tcpdump__e?dsa|tcpdump__(kday6|vtp_asan-3)|frf16_magic_ie/, 'link type unknown to tshark'],
  [/juniper(3|_es_oobr|_monitor_invalid_cookie_length)\.pcap$/, 'link type unknown to tshark'],
  [/^formats\/notcap\//, 'not pcap or pcapng: tshark reads these too'],
  [/test006\.ntar$/, 'tshark accepts block lengths that are not multiples of 4'],
  [/geneve-(caplen-huge|trunc-0000[13])\.pcap$/, 'tshark goes on with another record format, or file format'],
  [
    /kitchen-sink-trunc-000(04|12|20|28|40)\.pcapng$/,
    'tshark takes the rest of a section header for another format',
  ],
  [
    /(bug-6875-01__fuzz|cast-constructed-record|igmplayer|5766899836387328)\.pcap$/,
    'tshark tries other record formats',
  ],
  [/geneve-trunc-00000\.pcap$/, 'tshark takes an empty file for a capture without packets'],
  [/geneve-trunc\.pcap\.zst$/, 'tshark takes a stream cut in its first block for an empty file'],
  [/trailing-garbage\.pcap\.gz$/, 'zeros behind a gzip stream are padding'],
  [/atm-heapoverflow\.pcap$/, 'tshark counts the ATM pseudo-header apart'],
  [
    /FuzzTarget-(5781142|4672344|4683685|4829420|5114733|5468403|5654053|5669109|5696447)\d+\.pcap$/,
    'tshark prints excess fractions as they are and cuts lengths to 31 bits',
  ],
  [
    /FuzzTarget-(5700358|5723611|5755755|5758569|5766939|5814090|6223613|6604968)\d+\.pcap$/,
    'tshark prints excess fractions as they are and cuts lengths to 31 bits',
  ],
  [
    /(ndpi__fuzz-2021-(06-07-c6c72a0a56|10-13)|crash-eec28daf\w+)\.pcap$/,
    'tshark prints excess fractions as they are and cuts lengths to 31 bits',
  ],
];

// Two self-signed certificates with SPIFFE names, P-256, made once with openssl; their keys were thrown away.
const der = (base64) => Buffer.from(base64, 'base64');

/** spiffe://cluster.example/ns/default/sa/client */
export const clientCertificate = der(
  'MIIBxTCCAWugAwIBAgIUVz3eKKN8dH9iCquYorS2/d0oKY4wCgYIKoZIzj0EAwIwETEPMA0GA1UECgwGc2FtcGxlMCAXDTI2' +
    'MTEyMzAxMDExNloYDzIxMjYxMDMwMDEwMTE2WjARMQ8wDQYDVQQKDAZzYW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC' +
    'AASmaMrSgSLdl+y/pDkviYVwlpLVlPCDCD+YyE/ZTOflxFQfwm5x6YAM1RwDnO3Jp4ckqbVhHU/Vn5ZBKTLSRToXo4GeMIGb' +
    'MB0GA1UdDgQWBBShtOmKFmqCgbT996wEHJQmmBz7YjAfBgNVHSMEGDAWgBShtOmKFmqCgbT996wEHJQmmBz7YjAPBgNVHRMB' +
    'Af8EBTADAQH/MDsGA1UdEQEB/wQxMC+GLXNwaWZmZTovL2NsdXN0ZXIuZXhhbXBsZS9ucy9kZWZhdWx0L3NhL2NsaWVudDAL' +
    'BgNVHQ8EBAMCB4AwCgYIKoZIzj0EAwIDSAAwRQIhAMfs+hJV/zD8YP7ddw0mE9SNT2wHEyvCtaZNW0TedJN0AiAcbNu/b+vq' +
    'l+ad76rSwaPOp49T2/gnRcsOxiX8IZtxWA==',
);

/** spiffe://cluster.example/ns/default/sa/server */
export const serverCertificate = der(
  'MIIBxTCCAWugAwIBAgIUbiprkwR7z+pkVUIEz6iqDxeLmP4wCgYIKoZIzj0EAwIwETEPMA0GA1UECgwGc2FtcGxlMCAXDTI2' +
    'MTEyMzAxMDExNloYDzIxMjYxMDMwMDEwMTE2WjARMQ8wDQYDVQQKDAZzYW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC' +
    'AAT5sJndt6iJks14ysWs4obpABXYQC8V0m2fnToGrTukUL1cRGIjYEowX1Bb8FbGtvew/jYRew7nlQyZTkqBAazLo4GeMIGb' +
    'MB0GA1UdDgQWBBQtABV5XnmABgSGr9e/+jKFcLcCijAfBgNVHSMEGDAWgBQtABV5XnmABgSGr9e/+jKFcLcCijAPBgNVHRMB' +
    'Af8EBTADAQH/MDsGA1UdEQEB/wQxMC+GLXNwaWZmZTovL2NsdXN0ZXIuZXhhbXBsZS9ucy9kZWZhdWx0L3NhL3NlcnZlcjAL' +
    'BgNVHQ8EBAMCB4AwCgYIKoZIzj0EAwIDSAAwRQIhAOq7+gf/axc4fnR4rW5qohzwDmHTfoRMaaajUBHxHz3QAiB3/fPln8sz' +
    'vFl4mwDsjqm5Ovrp7WBJE6P3r4vQwZ234A==',
);

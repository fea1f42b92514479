"""An authority of the tests' own and its certificates, made with openssl."""
import os
import subprocess

import servers

CONFIG = """[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth, clientAuth
{names}
"""


class Authority:
    def __init__(self, name, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        self.directory = os.path.join(servers.work(), f"authority-{name}")
        os.mkdir(self.directory)
        self.key = key
        self.ca, self.ca_key = self._make(name, "ca", "", [])

    def certificate(self, name, *names):
        """The certificate and key, as file names, of a server that is called `names`: "DNS:host", "IP:127.0.0.1"."""
        listed = f"subjectAltName = {', '.join(names)}" if names else ""
        return self._make(name, "leaf", listed, ["-CA", self.ca, "-CAkey", self.ca_key])

    def _make(self, name, kind, names, issuer):
        path = os.path.join(self.directory, name)
        with open(f"{path}.conf", "w", encoding="ascii") as config:
            config.write(CONFIG.format(name=name, names=names))
        subprocess.run(["openssl", "req", "-x509", "-newkey", *self.key, "-nodes", "-days", "2", "-sha256",
                        "-config", f"{path}.conf", "-extensions", kind, *issuer,
                        "-keyout", f"{path}.key", "-out", f"{path}.crt"],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return f"{path}.crt", f"{path}.key"

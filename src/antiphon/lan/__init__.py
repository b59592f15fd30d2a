"""`up --lan`: HTTPS with a certificate authority of our own, for devices in the same network."""

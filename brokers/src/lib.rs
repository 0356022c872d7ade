//! Local MQTT brokers with controlled TLS, certificates and a wire tap.

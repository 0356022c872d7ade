//! Client and broker profiles, suites of cells, ClientHello decoding and snapshots.

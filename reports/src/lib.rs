//! Transcript, outcome and diagnosis of a cell, and the record of a run.

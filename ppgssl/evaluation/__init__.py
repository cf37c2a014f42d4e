"""What a frozen encoder is worth: linear probes beside reference features."""

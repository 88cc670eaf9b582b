"""Train an encoder on translation pairs. Start reading at `tppc.training.trainer`."""

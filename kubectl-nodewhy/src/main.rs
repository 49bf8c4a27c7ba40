//! kubectl-nodewhy: why is this node NotReady?

fn main() {}

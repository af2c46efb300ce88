//! Simulated nodes, kubelets and a plain scheduler, always marked simulated.

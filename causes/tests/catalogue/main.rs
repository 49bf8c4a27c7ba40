//! Tests over the built-in catalogue as a whole.

#[cfg(test)]
mod claims;
#[cfg(test)]
mod kubelet_logs;
#[cfg(test)]
mod loads;
#[cfg(test)]
mod remedies;
#[cfg(test)]
mod stories;

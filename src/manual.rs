//! What an operator and a reviewer should know beyond the interface; documentation only.

pub mod attacks;

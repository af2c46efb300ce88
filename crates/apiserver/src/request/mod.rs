//! From a request head to what is asked, and to the handler that answers.

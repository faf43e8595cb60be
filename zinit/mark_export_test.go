package zinit

// Marked is for tests that make processes with a mark.
var Marked = marked

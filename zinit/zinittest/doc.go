// Package zinittest holds what tests of a process manager stand on.
//
// Run is the contract: what a client may expect of any zinit, in the JSON-RPC and
// in the text dialect, whoever wrote it. Our own server has to pass it, and so has
// the original: with HEROSUP_ZINIT naming its binary, or one on PATH, the suite runs
// against that one too (Original). Where the two may differ (how long a restart takes,
// what a stop waits for) the suite asks for no more than both give. The rewrite on
// crates.io is held to what of it its dialect can keep, by a zinit-server that
// HEROSUP_ZINIT_CRATE names or that is on PATH (Crate, crateCases).
//
// Main makes a test binary able to be other processes than the test: the server
// (it reaps every child of its process, so it can not live inside of a test) and
// the children it runs. Start runs such a server.
//
// It is for tests only and is in no binary that we ship.
package zinittest

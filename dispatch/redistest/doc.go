// Package redistest runs real Redis servers for tests, on the loopback and with nothing outside of a folder of the
// test's own: one server that can be frozen, killed and started again with what it had; three Sentinels with a master
// and a replica; a Cluster. Everything ends with the test, and by the parent-death signal with its process.
package redistest

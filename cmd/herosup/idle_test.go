package main

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An idle system asks Redis for little: what the daemon's nets cost a second, and twice a minute each actor (its wait is
// renewed, and says that it lives). What scripts do inside is not counted, and MONITOR tells the two apart.
func TestAnIdleSystemIsQuiet(t *testing.T) {
	const actors, window, most = 10, 10 * time.Second, 7 // a second; the actors' own part is a third of a command
	r := newRig(t, withServer, fmt.Sprintf("  bash: {max: %d, min: %d}\n", actors, actors))
	r.until("all are idle", func() bool { return r.count("idle") == actors })
	c, err := net.Dial("unix", filepath.Join(r.dir, "redis.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(window)); err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	total := 0
	for s := bufio.NewScanner(c); s.Scan(); {
		f := strings.Fields(s.Text()) // +<time> [<db> <client or lua>] "<command>" ...
		if len(f) < 4 || f[2] == "lua]" {
			continue
		}
		total++
		asked[f[3]]++
	}
	t.Logf("%d commands: %v", total, asked)
	if total == 0 || total > most*int(window.Seconds()) {
		t.Errorf("%d commands in %s, want some and at most %d a second: %v", total, window, most, asked)
	}
}

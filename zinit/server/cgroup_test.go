package server

import (
	"fmt"
	"testing"

	"herosup/zinit"
)

// Bounds in the kernel's words.
func TestCgroupSettings(t *testing.T) {
	for _, c := range []struct {
		e    zinit.Extension
		want string
	}{
		{zinit.Extension{Memory: 64 << 20}, "[{memory.max 67108864} {memory.oom.group 1} {cpu.max max 100000}]"},
		{zinit.Extension{CPU: 1.5}, "[{memory.max max} {memory.oom.group 1} {cpu.max 150000 100000}]"},
		{zinit.Extension{CPU: 0.01, Memory: 1}, "[{memory.max 1} {memory.oom.group 1} {cpu.max 1000 100000}]"},
	} {
		if got := fmt.Sprint(settings(c.e)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.e, got, c.want)
		}
	}
}

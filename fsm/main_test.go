package fsm

import (
	"flag"
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The server's access-time clock is one goroutine per process; it must not
	// belong to the first bubble that starts a server (research/nats.md, 12).
	ats.Register()
	// rapid's own default is a hundred; these models cost some 20 µs a step.
	if err := flag.Set("rapid.checks", "500"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(andUnregister{m})
}

type andUnregister struct{ *testing.M }

func (m andUnregister) Run() int {
	defer ats.Unregister()
	return m.M.Run()
}

package zinit_test

import (
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"herosup/events"
	"herosup/zinit/wire"
)

// between serves a socket by another one, and tells held of each question for a status that it can: such a one is
// passed on at the next pass.
func between(t *testing.T, through string, held chan<- string, pass <-chan struct{}) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "between.sock")
	listen(t, socket, func(client net.Conn) {
		defer func() { _ = client.Close() }()
		server, err := net.Dial("unix", through) //nolint:noctx // it is here
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		asks, answers := wire.NewScanner(client), wire.NewScanner(server)
		for {
			msg, err := asks.Next()
			var r wire.Request
			if err != nil || json.Unmarshal(msg, &r) != nil {
				return
			}
			if r.Method == "service_status" {
				select {
				case held <- string(r.Params):
					<-pass
				default:
				}
			}
			if _, err := server.Write(append(msg, '\n')); err != nil {
				return
			}
			answer, err := answers.Next()
			if err != nil {
				return
			}
			if _, err := client.Write(append(answer, '\n')); err != nil {
				return
			}
		}
	})
	return socket
}

// An exit is told once, also beside a look at all services: what that brings of the first is old when it has seen
// the last.
func TestExecutorTellsAnExitOnceBesideALook(t *testing.T) {
	b := newBed(t)
	held, pass := make(chan string), make(chan struct{})
	b.socket = between(t, b.zinit.Socket, held, pass)
	b.execute()
	const other = pool + "_2"
	lives := map[string]events.Incarnation{}
	for _, a := range []string{actor, other} {
		b.order(events.StartProcess{Node: events.LocalNode, Actor: a, Pool: pool})
		lives[a] = expect[events.ProcessStarted](b).Incarnation
	}
	b.order(events.ObserveProcesses{Node: events.LocalNode})
	<-held // the look is at the first
	pass <- struct{}{}
	first := actor
	if strings.Contains(<-held, actor) {
		first = other
	}
	if err := b.client.Stop(t.Context(), prefix+first); err != nil { // by somebody else: no order of ours
		t.Fatal(err)
	}
	if got := expect[events.ProcessExited](b); got.Incarnation != lives[first] {
		t.Errorf("exited: %+v, want %s", got, lives[first])
	}
	pass <- struct{}{}
	if got := expect[events.ProcessObserved](b); got.Actor == first && !got.Incarnation.IsZero() {
		t.Errorf("observed: %+v", got)
	}
	b.quiet()
}

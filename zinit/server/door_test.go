package server_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

func dial(t testing.TB, s *zinittest.Server) net.Conn {
	t.Helper()
	c, err := wire.Dial(t.Context(), s.Socket)
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	ok(t, c.SetDeadline(time.Now().Add(zinittest.Patience)))
	return c
}

func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	ok(t, err)
}

// Half messages, garbage and clients that do not read stall nobody else.
func TestBadClientsStallNobody(t *testing.T) {
	s := zinittest.Start(t)
	say(t, dial(t, s), `{"jsonrpc":"2.0","id":1,"meth`)
	say(t, dial(t, s), "status with no end of its line")
	garbage := dial(t, s)
	say(t, garbage, `{"jsonrpc":"2.0","id":8,"method":"service_list"}`+"list\nstatus x\n")
	deaf := dial(t, s)
	// It reads nothing: after some answers its socket is full, and after some
	// more calls nothing of it is read either.
	go func() {
		for range 10_000 {
			if _, err := deaf.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}`)); err != nil {
				return // the end of the test closes it
			}
		}
	}()
	began := time.Now()
	_, err := s.Client(t).List(t.Context())
	ok(t, err)
	if took := time.Since(began); took > time.Second {
		t.Errorf("a good client waited %v", took)
	}
	scan := wire.NewScanner(garbage)
	refused := 0
	for range 3 { // the call's answer is in no order with them
		msg, err := scan.Next()
		ok(t, err)
		refused += strings.Count(string(msg), "-32700")
	}
	if refused != 2 {
		t.Errorf("two lines of garbage were refused %d times", refused)
	}
	say(t, garbage, `{"jsonrpc":"2.0","id":9,"method":"service_list"}`)
	msg, err := scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), `"id":9`) {
		t.Errorf("after garbage: %s", msg)
	}
}

// A message without end is cut off where the bound is.
func TestEndlessMessage(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"`)
	chunk := strings.Repeat("x", 1<<20)
	var err error
	for range 12 {
		if _, err = c.Write([]byte(chunk)); err != nil {
			break // cut off already
		}
	}
	msg, nextErr := wire.NewScanner(c).Next()
	if nextErr == nil && !strings.Contains(string(msg), "too long") {
		t.Errorf("answered %s", msg)
	}
	if nextErr != nil && err == nil {
		t.Errorf("neither answered nor cut off: %v", nextErr)
	}
	if got := residentMiB(t, s.PID()); got > 200 {
		t.Errorf("the server uses %d MiB", got)
	}
}

// So is a command of the text dialect without end.
func TestEndlessCommand(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	_, err := c.Write([]byte(strings.Repeat("x", 4*wire.MaxLine)))
	msg, nextErr := wire.NewScanner(c).Next()
	if nextErr == nil && !strings.Contains(string(msg), "too long") {
		t.Errorf("answered %s", msg)
	}
	if nextErr != nil && err == nil {
		t.Errorf("neither answered nor cut off: %v", nextErr)
	}
}

// One connection too many is told so, and there is room again when one goes.
func TestConnectionsAreBounded(t *testing.T) {
	s := zinittest.Start(t)
	var open []net.Conn
	for range 100 {
		c := dial(t, s)
		say(t, c, `{"jsonrpc":"2.0","id":1,"method":"service_list"}`)
		_, err := wire.NewScanner(c).Next()
		ok(t, err)
		open = append(open, c)
	}
	msg, err := wire.NewScanner(dial(t, s)).Next()
	ok(t, err)
	if !strings.Contains(string(msg), "too many connections") {
		t.Errorf("connection 101: %s", msg)
	}
	ok(t, open[0].Close())
	zinittest.Eventually(t, "room for one", func() error {
		c := dial(t, s)
		// Still full: the server may have turned this one away before the request
		// is written.
		if _, err := c.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"service_list"}` + "\n")); err != nil {
			return err
		}
		msg, err := wire.NewScanner(c).Next()
		if err == nil && !strings.Contains(string(msg), `"result"`) {
			err = net.ErrClosed
		}
		return err
	})
}

// There is no HTTP door, and the machine is left alone.
func TestRefusedMethods(t *testing.T) {
	s := zinittest.Start(t)
	c := dial(t, s)
	scan := wire.NewScanner(c)
	for _, method := range []string{"system_start_http_server", "system_stop_http_server"} {
		say(t, c, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"address":"127.0.0.1:1"}}`)
		msg, err := scan.Next()
		ok(t, err)
		if !strings.Contains(string(msg), "no HTTP door") {
			t.Errorf("%s: %s", method, msg)
		}
	}
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"service_create","params":["x",{"oneshot":true}]}`)
	msg, err := scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), "-32005") || !strings.Contains(string(msg), "no program") {
		t.Errorf("content that could not be loaded: %s", msg)
	}
	say(t, c, `{"jsonrpc":"2.0","id":1,"method":"system_reboot"}`)
	msg, err = scan.Next()
	ok(t, err)
	if !strings.Contains(string(msg), `"result":null`) {
		t.Errorf("reboot: %s", msg)
	}
	s.Wait(t)
}

package zinit

import (
	"bufio"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"herosup/zinit/wire"
)

// The original keeps a line as long as it is: one that is longer than a command may be
// hides no other, whether the log is read or followed.
func TestTextLogOfALongLine(t *testing.T) {
	long := "[+] a: " + strings.Repeat("x", 3*wire.MaxLine)
	want := []string{"[+] a: before", long, "[-] a: behind"}
	socket := filepath.Join(t.TempDir(), "z.sock")
	l, err := wire.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				command, _ := bufio.NewReader(c).ReadString('\n')
				answer := strings.Join(want, "\n") + "\n"
				if command == "list\n" { // who asks for the dialect
					answer = `{"state":"ok","body":{}}`
				}
				_, _ = c.Write([]byte(answer)) // a client that has gone is what the test is about
			})
		}
	})
	defer func() { _ = l.Close(); wg.Wait() }()
	c := NewClient(socket, Options{Dialect: Text})
	defer c.Close()
	got, err := c.CurrentLogs(t.Context(), "a")
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read: %d lines, %v", len(got), err)
	}
	s, err := c.FollowLogs(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, w := range want {
		if line, err := s.Next(t.Context()); line != w || err != nil {
			t.Fatalf("followed: line %d is %.40q of %d bytes, %v", i, line, len(line), err)
		}
	}
}

package server_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"herosup/zinit"
	"herosup/zinit/wire"
	"herosup/zinit/zinittest"
)

// peakMiB is the most memory that a process has had so far.
func peakMiB(t testing.TB, pid int) (peak int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	ok(t, err)
	_, after, found := strings.Cut(string(b), "VmHWM:")
	if !found {
		t.Fatalf("no VmHWM in %s", b)
	}
	_, err = fmt.Sscan(after, &peak)
	ok(t, err)
	return peak >> 10 / shadow
}

// What is as long as a message may be and has millions of parts costs some times its
// length, not fifty times.
func TestMessagesOfMillions(t *testing.T) {
	s := zinittest.Start(t)
	ones := strings.Repeat("1,", wire.MaxMessage/2-100) + "1"
	for want, msg := range map[string]string{
		"a batch of more than 1000 calls":     "[" + ones + "]",
		"got more than 0 parameters":          `{"jsonrpc":"2.0","id":1,"method":"service_list","params":[` + ones + "]}",
		" bytes is over the limit of 1048576": `{"jsonrpc":"2.0","id":1,"method":"service_create","params":["a",{"x":[` + ones[:len(ones)-1] + "1]}]}",
	} {
		var clients sync.WaitGroup
		for range 4 {
			c := dial(t, s)
			ok(t, c.SetDeadline(time.Now().Add(5*zinittest.Patience))) // the race detector makes a minute's work of all twelve
			clients.Go(func() {
				_, _ = c.Write([]byte(msg)) // what is wrong shows in the answer
				if got, err := wire.NewScanner(c).Next(); err != nil || !strings.Contains(string(got), want) {
					t.Errorf("got %.200s, %v, want ...%s...", got, err, want)
				}
			})
		}
		clients.Wait()
	}
	if got := peakMiB(t, s.PID()); got > 600 {
		t.Errorf("the server has used %d MiB", got)
	}
}

// A batch whose results are longer than any answer may be costs no more than one
// answer, and each call of it is answered.
func TestBatchOfLongAnswers(t *testing.T) {
	s := zinittest.Start(t)
	c := s.Client(t)
	up(t, c, "talker", zinit.Service{Oneshot: true, Exec: []string{"sh", "-c", "i=0; while [ $i -lt 500 ]; do printf '%07000d\\n' 0; i=$((i+1)); done; echo end"}})
	awaitLine(t, c, "talker", is("end"))
	const calls = 200
	var batch []string
	for i := range calls {
		batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"stream_currentLogs","params":[]}`, i))
	}
	k := dial(t, s)
	say(t, k, "["+strings.Join(batch, ",")+"]")
	got, err := wire.NewScanner(k).Next()
	ok(t, err)
	answered, short := strings.Count(string(got), `"result":[`), strings.Count(string(got), "the answers to the batch are too long")
	if answered == 0 || answered+short != calls {
		t.Errorf("%d calls have their result, %d are told why not, of %d: %.200s", answered, short, calls, got)
	}
	if peak := peakMiB(t, s.PID()); peak > 400 {
		t.Errorf("the server has used %d MiB", peak)
	}
}

// The room for long messages is for messages: a client that sends blanks between its
// own, or anything while it follows the log, takes none of it from the others.
func TestBlanksTakeNoRoom(t *testing.T) {
	s := zinittest.Start(t)
	blanks := strings.Repeat(" ", 1<<20)
	for _, first := range []string{"", list + "\n", "log\n"} {
		talker := dial(t, s)
		say(t, talker, first)
		for range 65 {
			say(t, talker, blanks)
		}
		// All but what fits into the socket's buffers has been read by now.
		c := dial(t, s)
		say(t, c, `{"jsonrpc":"2.0","id":1,"method":"service_status","params":["`+strings.Repeat("x", 1<<20)+`"]}`)
		got, err := wire.NewScanner(c).Next()
		ok(t, err)
		if !strings.Contains(string(got), "-32000") {
			t.Errorf("beside blanks behind %q: %.200s", first, got)
		}
	}
}

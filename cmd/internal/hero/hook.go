package hero

import (
	"slices"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// ownName tells our own connection from the program's.
const ownName = "herosup"

// pops are the commands that take from a list, with the place of their first key.
var pops = []string{"BLPOP", "BRPOP", "LPOP", "RPOP", "BLMOVE", "LMOVE", "RPOPLPUSH", "BRPOPLPUSH"}

// hook sees each command before it is carried out, on the goroutine of its connection. It lets all of them pass but replies:
// nobody would take those from their lists.
func (p *Program) hook(peer *server.Peer, cmd string, args ...string) bool {
	if peer.ClientName == ownName {
		return false
	}
	switch cmd = strings.ToUpper(cmd); {
	case slices.Contains(pops, cmd) && len(args) > 0:
		p.popped(args)
	case (cmd == "HSET" || cmd == "HMSET" || cmd == "HSETNX") && len(args) >= 3:
		if id, ok := strings.CutPrefix(args[0], recordKey); ok {
			p.said(id, func(s *seen) {
				for i := 1; i+1 < len(args); i += 2 {
					s.fields[args[i]] = args[i+1]
				}
			})
		}
	case (cmd == "LPUSH" || cmd == "RPUSH") && len(args) >= 2:
		if id, ok := strings.CutPrefix(args[0], replyKey); ok {
			p.said(id, func(s *seen) { s.reply, s.replied = args[1], true })
			peer.WriteInt(len(args) - 1)
			return true
		}
	}
	return false
}

// popped takes the first pop for the sign that the program is ready. One that waits somewhere else would wait for ever.
func (p *Program) popped(args []string) {
	if slices.Contains(args, workKey+p.cfg.Type) {
		select {
		case p.pops <- struct{}{}:
		default:
		}
		return
	}
	if strings.HasPrefix(args[0], anyWorkKeys) {
		p.warned.Do(func() {
			p.cfg.Log.Warn("the program waits on another list than its jobs come on", "list", args[0], "want", workKey+p.cfg.Type)
		})
	}
}

func (p *Program) said(id string, note func(*seen)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.jobs[id]
	if j == nil {
		return // taken back
	}
	note(&j.seen)
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

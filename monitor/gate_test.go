package monitor

import (
	"testing"

	"herosup/events"
)

func TestGateKnowsWhoIsServed(t *testing.T) {
	g := newGate("hero", Config{}.withDefaults().Served)
	for subject, unserved := range map[string]bool{
		"hero.cmd.job.submit.bash":        false,
		"hero.cmd.job.submit":             true,
		"hero.cmd.job.submit.bash.x":      true,
		"hero.cmd.job.submt.bash":         true,
		"hero.cmd.job.await.01K9":         false,
		"hero.cmd.job.create":             false,
		"hero.cmd.job":                    true,
		"hero.cmd.system.status":          false,
		"hero.cmd.system.status.now":      true,
		"hero.cmd.system.reboot":          true,
		"hero.cmd.pool.scale.bash":        false,
		"hero.cmd.pool.scal.bash":         false, // the scaler's to reject
		"hero.cmd.pool.scale":             true,
		"hero.cmd.pool.scale.bash.2":      true,
		"hero.cmd.actor.start.bash_1":     false,
		"hero.cmd.actor.kill.bash_1":      false, // the keeper's to reject
		"hero.cmd.actor.list":             false,
		"hero.cmd.nonsense":               true,
		"hero.cmd.a.b.c.d.e":              true,
		"hero.evt.job.queued.bash.j":      false,
		"other.cmd.job.submit.bash":       false,
		"hero.cmd.pool.pause.a.b":         true,
		"hero.cmd.actor.start.bash_1.now": true,
	} {
		if got := g.unserved(subject); got != unserved {
			t.Errorf("%s: unserved %v, want %v", subject, got, unserved)
		}
	}
}

// Every command of the catalogue is left to its server.
func TestGateLeavesTheCatalogueAlone(t *testing.T) {
	g := newGate("hero", nil)
	for _, k := range events.Catalogue() {
		subject := "hero." + string(k.Branch) + "." + k.Entity + "." + k.Verb
		for range k.Tokens {
			subject += ".x"
		}
		if g.unserved(subject) {
			t.Errorf("%s is rejected", subject)
		}
	}
}

func BenchmarkGateSubmission(b *testing.B) {
	g := newGate("hero", Config{}.withDefaults().Served)
	b.ReportAllocs()
	for b.Loop() {
		g.unserved("hero.cmd.job.submit.bash")
	}
}

package v4

import (
	"net/http"

	"github.com/headgate/headgate/pkg/api"
)

// listed answers a list that does not change.
func listed(r *http.Request, list ...members) (answer, error) {
	if _, err := readFilter[members](r, nil); err != nil {
		return answer{}, err
	}
	return page(r, list, func(m *members) members { return *m })
}

// listNothing answers what a balancer has none of.
func (s *Server) listNothing(r *http.Request) (answer, error) {
	d := s.backend.Get()
	if _, ok := d.Find(pathID(r, "id")); !ok {
		return answer{}, notFound()
	}
	return listed(r)
}

// listTypes answers the one plan that there is. Some clients refuse one without a price.
func (s *Server) listTypes(r *http.Request) (answer, error) {
	price := members{{"hourly", 0.001}, {"monthly", 0.01}}
	return listed(r, members{
		{"id", "common"}, {"label", "NodeBalancer"}, {"price", price}, {"region_prices", []string{}}, {"transfer", 0},
	})
}

func (s *Server) region() members {
	return members{
		{"id", s.site.Region}, {"label", s.site.Region}, {"country", ""}, {"capabilities", []string{"NodeBalancers"}},
		{"status", "ok"}, {"site_type", "core"}, {"resolvers", members{{"ipv4", ""}, {"ipv6", ""}}},
		{"monitors", members{{"alerts", []string{}}, {"metrics", []string{}}}},
		{"placement_group_limits", nil},
	}
}

func (s *Server) listRegions(r *http.Request) (answer, error) { return listed(r, s.region()) }

func (s *Server) getRegion(r *http.Request) (answer, error) {
	if r.PathValue("region") != s.site.Region {
		return answer{}, notFound()
	}
	return answer{body: s.region()}, nil
}

// getProfile answers a client that tries its token.
func (s *Server) getProfile(*http.Request) (answer, error) {
	return answer{body: members{
		{"uid", 1}, {"username", "headgate"}, {"email", "headgate@" + s.site.Domain}, {"timezone", "UTC"},
		{"email_notifications", false}, {"ip_whitelist_enabled", false}, {"two_factor_auth", false}, {"restricted", false},
		{"lish_auth_method", "disabled"}, {"authorized_keys", []string{}}, {"authentication_type", "password"},
		{"referrals", members{{"total", 0}, {"completed", 0}, {"pending", 0}, {"credit", 0}, {"code", ""}, {"url", ""}}},
	}}, nil
}

// getStats answers the averages of the last 24 hours.
func (s *Server) getStats(r *http.Request) (answer, error) {
	d := s.backend.Get()
	i, ok := d.Find(pathID(r, "id"))
	if !ok {
		return answer{}, notFound()
	}
	samples := s.backend.Stats(d.Balancers[i].ID)
	if len(samples) == 0 {
		return answer{}, api.BadRequest("", "Stats are unavailable at this time.")
	}
	series := func(of func(*Sample) float64) [][2]float64 {
		out := make([][2]float64, len(samples))
		for i := range samples {
			out[i] = [2]float64{float64(samples[i].At.UnixMilli()), of(&samples[i])}
		}
		return out
	}
	return answer{generation: d.Revision, body: members{
		{"title", "balancer " + d.Balancers[i].Label + " (5 min average)"},
		{"data", members{
			{"connections", series(func(s *Sample) float64 { return s.Connections })},
			{"traffic", members{
				{"in", series(func(s *Sample) float64 { return s.In })},
				{"out", series(func(s *Sample) float64 { return s.Out })},
			}},
		}},
	}}, nil
}

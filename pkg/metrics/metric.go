package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Prefix of all names.
const namespace = "headgate"

// family is one metric of many series: its name, and the names of the labels that tell these apart.
type family struct {
	desc    *prometheus.Desc
	counter bool
	labels  []string
}

// gauge and counter describe families. The labels must be in alphabetical order, in which they are sent.
func gauge(name, help string, labels ...string) *family {
	return &family{desc: prometheus.NewDesc(namespace+"_"+name, help, labels, nil), labels: labels}
}

func counter(name, help string, labels ...string) *family {
	f := gauge(name, help, labels...)
	f.counter = true
	return f
}

// series are the values of a family's labels, made once where several families share them.
type series []*dto.LabelPair

func labelled(names []string, values ...string) series {
	s := make(series, len(names))
	for i := range names {
		s[i] = &dto.LabelPair{Name: &names[i], Value: &values[i]}
	}
	return s
}

// of gives the sample of the series with these values of the family's labels.
func (f *family) of(value float64, values ...string) prometheus.Metric {
	return f.at(value, labelled(f.labels, values...))
}

// at gives the sample of a series. Ten thousand nodes have many: that is why it does not go by
// prometheus.NewConstMetric, which makes the labels of each anew.
func (f *family) at(value float64, s series) prometheus.Metric {
	return &sample{f, s, value}
}

type sample struct {
	*family
	series series
	value  float64
}

func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.series
	if s.counter {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// number is 1 for true.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// describe sends the descriptions of families.
func describe(to chan<- *prometheus.Desc, families ...*family) {
	for _, f := range families {
		to <- f.desc
	}
}

// fail says that the figures of these families could not be read.
func fail(to chan<- prometheus.Metric, err error, families ...*family) {
	for _, f := range families {
		to <- prometheus.NewInvalidMetric(f.desc, err)
	}
}

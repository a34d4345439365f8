package packet

import (
	"bytes"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

func TestWhatIsRecordedIsReadAgain(t *testing.T) {
	var file bytes.Buffer
	r := NewRecorder(&file, "headgate test", 100)
	frame := MustEncode("eth 02:00:00:00:00:01 > 02:00:00:00:00:02\nipv4 198.51.100.7 > 203.0.113.10\nudp 1 > 2\ndata 33*61")
	at := time.Unix(1_700_000_000, 123_456_789)
	want := []Recorded{
		{at, "eth0", false, len(frame), frame, "reason=new_flow"},
		{at.Add(time.Microsecond), "eth1", true, 1500, frame[:50], "as it left"},
		{at, "eth0", false, len(frame), frame, ""},
	}
	for _, f := range want {
		if err := r.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	ng, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range want {
		data, info, options, err := ng.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		name, err := ng.Interface(info.InterfaceIndex)
		if err != nil || name.Name != f.Interface || !info.Timestamp.Equal(f.Time) || info.Length != f.Length || !bytes.Equal(data, f.Data) {
			t.Errorf("%d: %s %+v, %v", i, name.Name, info, err)
		}
		comment := ""
		if len(options.Comments) > 0 {
			comment = options.Comments[0]
		}
		if comment != f.Comment || options.Flags == nil || (options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound) != f.Out {
			t.Errorf("%d: %+v", i, options)
		}
	}
	if got := ng.SectionInfo().Application; got != "headgate test" {
		t.Errorf("made by %s", got)
	}
}

func TestARecordingOfNothingIsOne(t *testing.T) {
	var file bytes.Buffer
	if err := NewRecorder(&file, "x", 100).Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRecorded(&file, 1); err == nil || err.Error() != "it has no packet 1, only 0" {
		t.Errorf("%v", err)
	}
}

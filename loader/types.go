package loader

import "github.com/cilium/ebpf"

// The structs of bpf/abi.h as Go reads them, made by bpf2go. pkg/maps gives them meaning.
type (
	Announcement   = headgateAnnouncement
	AnnouncedKey   = headgateAnnouncedKey
	Bucket4        = headgateBucket4
	Bucket6        = headgateBucket6
	BucketHead     = headgateBucketHead
	Flow4          = headgateFlow4
	Flow6          = headgateFlow6
	FlowWord       = headgateFlowWord
	FlowStats      = headgateFlowStats
	Half           = headgateHalf
	Fragment       = headgateFragment
	FragmentKey    = headgateFragmentKey
	LinkEntry      = headgateLinkEntry
	Node           = headgateNode
	NodeInfo       = headgateNodeInfo
	NodeLive       = headgateNodeLive
	NodeStats      = headgateNodeStats
	NodeStatus     = headgateNodeStatus
	NodeTrouble    = headgateNodeTrouble
	Reasons        = headgateReasonCounters
	Service        = headgateService
	ServiceInfo    = headgateServiceInfo
	ServiceLive    = headgateServiceLive
	ServiceStats   = headgateServiceStats
	Signal         = headgateSignal
	SNAT           = headgateSnat
	StickKey       = headgateStickKey
	StickEntry     = headgateStickEntry
	StickPolicy    = headgateStickPolicy
	ThrottleKey    = headgateThrottleKey
	ThrottleEntry  = headgateThrottleEntry
	ThrottlePolicy = headgateThrottlePolicy
	Meta           = headgateTableMeta
	VIPKey         = headgateVipKey
)

// Maps are the program's maps, by name; bpf/maps.h says what each holds and who writes it.
// Creations and Refusals are the program's own.
type Maps = headgateMaps

// Flags of LinkEntry (enum link_flag).
const (
	LinkRedirect uint16 = 1
	LinkTagged   uint16 = 2
)

// Schema is the version of the layouts in bpf/abi.h that this build speaks.
const Schema = 3

// Spec returns the compiled program with its maps as they were written, sizes and constants not yet
// set. The caller owns the copy.
func Spec() (*ebpf.CollectionSpec, error) { return loadHeadgate() }

"""nf_tables by netlink, as far as it is asked for: linux/netfilter/nfnetlink.h and nf_tables.h."""

from engine.abi.layout import Layout

NFNL_SUBSYS_NFTABLES = 0xA
NFNL_MSG_BATCH_BEGIN = 0x10
NFNL_MSG_BATCH_END = 0x11
NFT_MSG_NEWTABLE = 0x0
NFT_MSG_GETTABLE = 0x1
NFT_MSG_NEWSET = 0x9
NFTA_LIST_ELEM = 0x1
NFTA_TABLE_NAME = 0x1
NFTA_SET_TABLE = 0x1
NFTA_SET_NAME = 0x2
NFTA_SET_FLAGS = 0x3
NFTA_SET_KEY_LEN = 0x5
NFTA_SET_ID = 0xA
NFTA_SET_DESC = 0x9
NFTA_SET_DESC_CONCAT = 0x2
NFTA_SET_FIELD_LEN = 0x1
NFT_SET_INTERVAL = 0x4
NFT_SET_CONCAT = 0x80

NFGENMSG = Layout("struct nfgenmsg", "nfgen_family:B version:B res_id:H")

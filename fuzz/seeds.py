"""Where a fuzzer that knows nothing begins: a good input of each kind, in the venue's own shape."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

_KLINE = (
    b'{"e":"kline","E":1769904060203,"s":"BTCUSDT","k":{"t":1769904000000,"T":1769904059999,"s":"BTCUSDT","i":"1m",'
    b'"f":1,"L":2,"o":"7.6080","c":"7.6170","h":"7.6180","l":"7.6070","v":"3005","n":113,"x":true,"q":"22875.8590",'
    b'"V":"1900","Q":"14464.6960","B":"0"}}'
)
_TRADE = b'{"a":26129,"p":"0.016","q":"4.7","f":1,"l":2,"T":1769904000123,"m":true}'
_ROW = (
    b'[[1769904000000,"7.6080","7.6180","7.6070","7.6170","3005",1769904059999,"22875.8590",113,"1900","14464.69",'
    b'"0"]]'
)
_CONTRACT = (
    b'{"e":"contractInfo","E":1669647330393,"s":"IOTAUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":1569398400000,'
    b'"cs":"TRADING"}'
)
_INFO = (
    b'{"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400}],"symbols":'
    b'[{"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT",'
    b'"onboardDate":1569398400000,"deliveryDate":4133404800000,"pricePrecision":2,"filters":[{"filterType":'
    b'"PRICE_FILTER","tickSize":"0.10"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}'
)
_INTEREST = (
    b'[{"symbol":"BTCUSDT","sumOpenInterest":"94731.04","sumOpenInterestValue":"8157280897.9","longShortRatio":"1.6",'
    b'"buySellRatio":"0.9","timestamp":1769900000000}]'
)
_FUNDING = (
    b'[{"symbol":"BTCUSDT","fundingTime":1769904000003,"fundingRate":"-0.00002485","markPrice":"85718.5"}]'
)
_INTERVALS = b'[{"symbol":"BLZUSDT","fundingIntervalHours":4}]'
_TOKENS = (
    b'{"code":"000000","success":true,"data":[{"chainId":"56","contractAddress":"0x92aa","name":"Quack","symbol":"Q",'
    b'"price":"0.0185","alphaId":"ALPHA_175","listingCex":false,"cexCoinName":"","offline":false,"listingTime":1757066400000}]}'
)
_KLINES_CSV = (
    b"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n"
    b"1769904000000,1.546,1.547,1.544,1.546,74137.9,1769904059999,114567.0308,340,27722.5,42850.8697,0\n"
)
_TRADES_CSV = (
    b"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    b"1000,43000.10,0.5,2000,2003,1769904000123,true\n"
)
_METRICS_CSV = (
    b"create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    b"sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
    b"2026-02-01 00:05:00,BTCUSDT,1,2,3,4,5,6\n2026-02-02 00:00:00,BTCUSDT,1,2,3,,5,6\n"
)
_FUNDING_CSV = b"calc_time,funding_interval_hours,last_funding_rate\n1769904000000,8,0.00037409\n"
_LISTING = (
    b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated><Contents><Key>a/b.zip'
    b"</Key><LastModified>2024-02-01T08:32:11.000Z</LastModified><Size>61023</Size></Contents><CommonPrefixes><Prefix>a/"
    b"</Prefix></CommonPrefixes><NextContinuationToken>1ueG</NextContinuationToken></ListBucketResult>"
)
_ENV = b"# words\nDATABASE_URL=postgresql://me:pass@127.0.0.1:5432/market\nSYMBOLS=BTC*,ETHUSDT\nLOG_LEVELS=writer=debug\n"
_YAML = (
    b"symbols: [BTC*, ETHUSDT]\nlog_levels:\n  writer: debug\nschedules:\n- [Bars, '* * * * *', {size: 1h}]\n"
)
_SET = b"BACKFILL_FROM=30d\nSPEED=20\nHTTP_PROXY=http://127.0.0.1:7890\nALERT_TARGETS=a=https://h/x?k=1\n"
_ANSWER = b'{"jsonrpc":"2.0","id":1,"result":%s}'
_HEADER = (
    b'{"number":"0xcf3b2a","hash":"0x%s","parentHash":"0x%s","timestamp":"0x6189b8b1","baseFeePerGas":"0x1f","logsBloom":'
    b'"0x%s"}' % (b"c" * 64, b"d" * 64, b"f" * 512)
)
_LOG = (
    b'{"address":"0x%s","topics":["0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67","0x%s","0x%s"],'
    b'"data":"0x%s","blockNumber":"0xcf3b2a","blockHash":"0x%s","transactionHash":"0x%s","transactionIndex":"0x1",'
    b'"logIndex":"0x2","removed":false}'
    % (b"9" * 40, b"0" * 63 + b"1", b"0" * 63 + b"2", (b"0" * 63 + b"1") * 5, b"c" * 64, b"e" * 64)
)
_RECEIPT = (
    b'{"blockHash":"0x%s","transactionHash":"0x%s","effectiveGasPrice":"0x1","gasUsed":"0x2","logsBloom":"0x%s","logs":[%s]}'
    % (b"c" * 64, b"e" * 64, b"f" * 512, _LOG)
)
_ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"range 20000 exceeds limit of 10000","data":"b"}}'


def _zip(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("BTCUSDT-1m-2026-02-01.csv", _KLINES_CSV)
    return file.getvalue()


def _numbered(texts: Sequence[bytes]) -> list[bytes]:
    """Each behind the byte that chooses its parser."""
    return [bytes([number]) + text for number, text in enumerate(texts)]


SEEDS: Mapping[str, Sequence[bytes]] = {
    "frame": [
        _KLINE,
        b'{"stream":"btcusdt@kline_1m","data":%s}' % _KLINE,
        _KLINE.replace(b"true", b"false"),
        b'{"e":"aggTrade","s":"BTCUSDT",' + _TRADE[1:],
        _CONTRACT,
        b'{"e":"markPriceUpdate"}',
        b'{"e":"serverShutdown"}',
        b'{"result":null,"id":1}',
    ],
    "rest": _numbered(
        [
            _ROW,
            _ROW,
            b"[%s]" % _TRADE,
            _INFO,
            _INTEREST,
            _FUNDING,
            _INTERVALS,
            _TOKENS,
            b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1721393459728."}',
        ]
    ),
    "csv": _numbered([_KLINES_CSV, _TRADES_CSV, _METRICS_CSV, _FUNDING_CSV, _LISTING]),
    "zip": [_zip(zipfile.ZIP_STORED), _zip(zipfile.ZIP_DEFLATED)],
    "config": _numbered([_ENV, _YAML, _SET]),
    "jsonrpc": [
        _ANSWER % b'"0x1"',
        _ANSWER % _HEADER,
        _ANSWER % (b"[%s]" % _LOG),
        _ANSWER % _RECEIPT,
        _ANSWER % (b"[%s]" % _RECEIPT),
        _ANSWER % (b'"0x' + b"0" * 63 + b'1"'),
        _ANSWER % b"null",
        _ERROR,
    ],
}

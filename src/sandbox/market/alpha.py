"""The list of Binance Alpha tokens, a pure function of the seed."""

from __future__ import annotations

from typing import Any

from .candles import decimal, mix, symbol_key
from .catalogue import names

TOKENS = 60
_CHAINS = (("56", "BSC"), ("1", "Ethereum"), ("8453", "Base"), ("CT_501", "Solana"))


def token_list(seed: int) -> dict[str, Any]:
    """``{"code":"000000","success":true,"data":[...]}``; every other token is one of the catalogue's bases."""
    bases = names(seed, 2 * TOKENS)
    return {
        "code": "000000",
        "message": None,
        "messageDetail": None,
        "success": True,
        "data": [
            _token(seed, number, bases[2 * number] if number % 2 else f"{bases[2 * number + 1]}X")
            for number in range(TOKENS)
        ],
    }


def _token(seed: int, number: int, symbol: str) -> dict[str, Any]:
    bits = mix(symbol_key(seed, symbol) ^ 0xA1FA)
    chain, chain_name = _CHAINS[bits % len(_CHAINS)]
    address = f"0x{bits:016x}{mix(bits):016x}{number:08x}"
    return {
        "tokenId": f"{mix(bits ^ 1):016X}{mix(bits ^ 2):016X}",
        "chainId": chain,
        "chainIconUrl": f"https://bin.example/chain/{chain}.png",
        "chainName": chain_name,
        "contractAddress": address,
        "name": symbol.title(),
        "symbol": symbol,
        "iconUrl": f"https://bin.example/token/{number}.png",
        "price": decimal(1 + bits % 10**9, 8),
        "percentChange24h": decimal(bits % 2_000, 2),
        "volume24h": decimal(bits % 10**9, 4),
        "marketCap": decimal(bits % 10**12, 4),
        "fdv": decimal(bits % 10**12, 4),
        "liquidity": decimal(bits % 10**10, 4),
        "totalSupply": str(10**9),
        "circulatingSupply": str(10**8 + bits % 10**8),
        "holders": str(1_000 + bits % 100_000),
        "decimals": 18,
        "listingCex": number % 2 == 1,
        "hotTag": bits % 7 == 0,
        "cexCoinName": symbol if number % 2 else "",
        "canTransfer": True,
        "denomination": 1,
        "offline": False,
        "tradeDecimal": 8,
        "alphaId": f"ALPHA_{100 + number}",
        "offsell": False,
        "priceHigh24h": decimal(2 + bits % 10**9, 8),
        "priceLow24h": decimal(bits % 10**9, 8),
        "count24h": str(bits % 100_000),
        "onlineTge": False,
        "onlineAirdrop": bits % 5 == 0,
        "score": bits % 1_000,
        "cexOffDisplay": False,
        "stockState": False,
        "listingTime": 1_740_000_000_000 + number * 86_400_000,
        "mulPoint": 1,
        "bnExclusiveState": False,
    }

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STATUS_RUNNING: _ClassVar[TaskStatus]
    TASK_STATUS_SUCCESS: _ClassVar[TaskStatus]
    TASK_STATUS_FAILED: _ClassVar[TaskStatus]
    TASK_STATUS_CANCELLED: _ClassVar[TaskStatus]
TASK_STATUS_RUNNING: TaskStatus
TASK_STATUS_SUCCESS: TaskStatus
TASK_STATUS_FAILED: TaskStatus
TASK_STATUS_CANCELLED: TaskStatus

class TaskResponse(_message.Message):
    __slots__ = ("task_id", "status")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    status: TaskStatus
    def __init__(self, task_id: _Optional[str] = ..., status: _Optional[_Union[TaskStatus, str]] = ...) -> None: ...

class CollectBinanceRequest(_message.Message):
    __slots__ = ("task_id", "import_percentage", "chunk_size", "symbol", "market")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    IMPORT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SIZE_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    import_percentage: float
    chunk_size: int
    symbol: str
    market: str
    def __init__(self, task_id: _Optional[str] = ..., import_percentage: _Optional[float] = ..., chunk_size: _Optional[int] = ..., symbol: _Optional[str] = ..., market: _Optional[str] = ...) -> None: ...

class CollectUniswapRequest(_message.Message):
    __slots__ = ("task_id", "pool_address", "start_ts", "end_ts")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    START_TS_FIELD_NUMBER: _ClassVar[int]
    END_TS_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    pool_address: str
    start_ts: int
    end_ts: int
    def __init__(self, task_id: _Optional[str] = ..., pool_address: _Optional[str] = ..., start_ts: _Optional[int] = ..., end_ts: _Optional[int] = ...) -> None: ...

class ProcessPricesRequest(_message.Message):
    __slots__ = ("task_id", "start_date", "end_date", "aggregation_interval", "overwrite", "db_overrides")
    class DbOverridesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    START_DATE_FIELD_NUMBER: _ClassVar[int]
    END_DATE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    DB_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    start_date: str
    end_date: str
    aggregation_interval: str
    overwrite: bool
    db_overrides: _containers.ScalarMap[str, str]
    def __init__(self, task_id: _Optional[str] = ..., start_date: _Optional[str] = ..., end_date: _Optional[str] = ..., aggregation_interval: _Optional[str] = ..., overwrite: _Optional[bool] = ..., db_overrides: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AnalyseRequest(_message.Message):
    __slots__ = ("task_id", "batch_id", "overwrite", "strategy_json")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_JSON_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    batch_id: int
    overwrite: bool
    strategy_json: str
    def __init__(self, task_id: _Optional[str] = ..., batch_id: _Optional[int] = ..., overwrite: _Optional[bool] = ..., strategy_json: _Optional[str] = ...) -> None: ...

class RunTaskRequest(_message.Message):
    __slots__ = ("task_id", "task_type", "config_json")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    task_type: str
    config_json: str
    def __init__(self, task_id: _Optional[str] = ..., task_type: _Optional[str] = ..., config_json: _Optional[str] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class CancelTaskRequest(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    def __init__(self, task_id: _Optional[str] = ...) -> None: ...

class WatchTaskRequest(_message.Message):
    __slots__ = ("task_id", "after_number")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_NUMBER_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    after_number: int
    def __init__(self, task_id: _Optional[str] = ..., after_number: _Optional[int] = ...) -> None: ...

class TaskLine(_message.Message):
    __slots__ = ("number", "at_ms", "level", "line")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_ms: int
    level: str
    line: str
    def __init__(self, number: _Optional[int] = ..., at_ms: _Optional[int] = ..., level: _Optional[str] = ..., line: _Optional[str] = ...) -> None: ...

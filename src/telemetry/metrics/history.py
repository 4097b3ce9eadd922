"""The past: the ledger, what fills it, the archive's files, what is kept."""

from __future__ import annotations

from .families import Families


class HistoryFamilies(Families):
    """Metrics of the coverage ledger, of backfill and patrol, of the archive, and of retention."""

    def _ledger(self) -> None:
        self.ledger_corrections = self._counter(
            "ledger_corrections",
            "Lines of the coverage ledger that the rolling audit found wrong and mended, by dataset.",
            "dataset",
        )
        self.gap_symbols_searched = self._counter(
            "gap_symbols_searched",
            "Symbols whose minutes were searched, because the ledger said that one may be missing.",
        )
        self.listings_known = self._gauge(
            "listings_known", "Listing intervals in the database, living and delisted."
        )
        self.ledger_followed = self._gauge(
            "ledger_followed_timestamp_seconds", "Venue time until which the ledger knows what is due."
        )

    def _backfill(self) -> None:
        self.backfill_tasks = self._counter(
            "backfill_tasks",
            "Tasks of history by kind (daily, monthly, rest) and result: ok, missing, quarantined, refused,"
            " unanswered.",
            "kind",
            "result",
        )
        self.backfill_tasks_left = self._gauge("backfill_tasks_left", "Tasks planned and not done.")
        self.backfill_candles_left = self._gauge(
            "backfill_candles_left", "Missing candles that planned tasks are to fill."
        )
        self.backfill_paused = self._gauge(
            "backfill_paused", "1 while no file is downloaded, by reason: folder, disk_low, memory.", "reason"
        )
        self.history_open_days = self._gauge(
            "history_incomplete", "Symbol-days in reach of the patrol that are not complete."
        )
        self.absent_candles = self._counter("absent_candles", "Candles found to exist nowhere, with proof.")
        self.verified_files = self._counter(
            "verified_files",
            "Daily files compared with what is stored, by result: equal, corrected, missing, quarantined,"
            " unanswered.",
            "result",
        )

    def _archive(self) -> None:
        self.archive_requests = self._counter(
            "archive_requests",
            "Requests to the archive, by kind (file, checksum, list) and status code.",
            "kind",
            "code",
        )
        self.archive_bytes = self._counter("archive_received_bytes", "Bytes of archive files received.")
        self.archive_downloads = self._counter(
            "archive_downloads", "Archive files downloaded, by result: ok, checksum (thrown away).", "result"
        )
        self.archive_entries_rejected = self._counter(
            "archive_entries_rejected", "Entries of the archive's listing left out, by reason.", "reason"
        )
        self.archive_imports = self._counter(
            "archive_imports",
            "Archive files imported, by what they were: first, republished, same (not read again).",
            "kind",
        )
        self.import_workers_lost = self._counter(
            "import_workers_lost", "Times that a file lost its import process: ended, hung, killed."
        )

    def _retention(self) -> None:
        self.chunks_expired = self._counter(
            "chunks_expired",
            "Chunks dropped because RETENTION_DAYS no longer keeps them, by dataset.",
            "dataset",
        )
        self.rows_expired = self._counter(
            "rows_expired", "Rows that became expired in the ledger, dropped or never filled.", "dataset"
        )
        self.retention_last_run = self._gauge(
            "retention_last_run_timestamp_seconds",
            "Venue time at which retention was last enforced, 0 never.",
        )

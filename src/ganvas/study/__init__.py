"""Studies: variants times seeds from one file, trained, scored and compared."""

from __future__ import annotations

from ganvas.study.file import Study, Variant, load_study
from ganvas.study.job import Outcome
from ganvas.study.plan import StudyRun
from ganvas.study.run import Executor, StudyResult, run_study, study

__all__ = ["Executor", "Outcome", "Study", "StudyResult", "StudyRun", "Variant", "load_study", "run_study", "study"]

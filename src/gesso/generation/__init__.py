"""A request becomes pictures: submit, dispatch, drive, settle."""
